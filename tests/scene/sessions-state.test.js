// What a client has told its server goes with it to the next one: the newest of each, and nothing that no longer holds.
'use strict';

const assert = require('node:assert/strict');
const { describe } = require('node:test');
const { KINDS, Stage, scene, token, waitFor } = require('./lib');

const realtime = KINDS.filter(({ kind }) => kind !== 'phoenix');

// The guests' channels on a region, by room.
const channels = async (region) => Object.fromEntries((await region.channels()).filter(({ key }) => key === 'ann').map((channel) => [channel.topic, channel]));

describe('sessions: what goes along', { concurrency: 2 }, () => {
  scene('the newest token', async (s) => {
    const stage = await Stage.start(s);
    await stage.parties({ kinds: realtime, accessToken: () => token(3600) });
    const newest = {};
    for (const { guest } of stage.all) {
      newest[`realtime:${guest.room}`] = token(7200);
      await guest.client.setAuth(newest[`realtime:${guest.room}`]);
    }
    const have = (region) => waitFor(`the tokens on ${region.name}`, async () => {
      const there = await channels(region);
      return Object.entries(newest).every(([topic, text]) => there[topic]?.token === text);
    });
    await have(stage.a);
    await stage.a.kill();
    await stage.settled('b');
    await have(stage.b);
    await stage.each((party) => party.undisturbed());
  });

  scene('the newest presence, and none that was taken back', async (s) => {
    const stage = await Stage.start(s);
    await stage.parties({ kinds: realtime });
    const [stays, goes] = stage.all;
    assert.equal(await stays.guest.track({ who: 'ann', mood: 'fine' }), 'ok');
    assert.equal(await goes.guest.channel.untrack(), 'ok');
    await waitFor('the witness to see it', () => !('ann' in goes.witness.seen));
    await stage.a.kill();
    await stage.settled('b');
    const state = () => stays.witness.channel.presenceState();
    await waitFor('one entry', () => state().ann?.length === 1 && state().ann[0].mood === 'fine');
    await goes.arrived(); // and with it whatever presence there was
    assert.ok(!('ann' in goes.witness.seen));
    await stage.each((party) => party.undisturbed());
  });

  scene('presence while there is no server', async (s) => {
    const stage = await Stage.start(s);
    await stage.parties({ kinds: realtime, witness: null });
    await Promise.all([stage.a.kill(), stage.b.kill()]);
    await stage.connected(0);
    const answers = stage.all.map(({ guest }) => guest.track({ who: 'ann', mood: 'waiting' }));
    await stage.back();
    assert.deepEqual(await Promise.all(answers), ['ok', 'ok']);
    await stage.each(async (party) => {
      await waitFor('the witness to see the newest', () => party.witness.channel.presenceState().ann?.[0].mood === 'waiting');
      party.undisturbed();
    });
  });

  scene('who is private, and which changes it wants, with the very same bindings', async (s) => {
    const stage = await Stage.start(s);
    const changes = [{ event: 'INSERT', schema: 'public', table: 'cars', filter: 'owner=eq.7' }, { event: '*', schema: 'public', table: 'bikes' }];
    await stage.parties({ kinds: realtime, changes, isPrivate: true, accessToken: () => token(3600) });
    const seen = (there) => Object.fromEntries(Object.entries(there).map(([topic, channel]) => [topic, [channel.private, channel.changes, channel.join_ref, channel.key]]));
    const before = seen(await channels(stage.a));
    assert.equal(Object.keys(before).length, 2);
    await stage.a.kill();
    await stage.settled('b');
    assert.deepEqual(seen(await channels(stage.b)), before);
    await stage.each((party) => party.undisturbed());
  });

  scene('several channels of one client', async (s) => {
    const stage = await Stage.start(s);
    await stage.parties();
    const others = stage.all.flatMap(({ guest }) => ['one', 'two'].map((room) => {
      const other = new guest.constructor(s, guest.url, { key: 'ann', room });
      other.client = guest.client;
      other.join();
      return other;
    }));
    await Promise.all(others.map((other) => other.is('SUBSCRIBED')));
    await stage.a.kill();
    await stage.settled('b', { count: 9 });
    await stage.each(async (party) => {
      await party.arrived();
      party.undisturbed();
    });
    for (const other of others) {
      await other.say();
      assert.deepEqual(other.statuses, ['SUBSCRIBED']);
    }
  });
});
