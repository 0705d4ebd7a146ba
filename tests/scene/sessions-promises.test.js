// What is promised about messages: those under way when a server is lost, those that wait for one, those that kill it, and those of the
// database.
'use strict';

const assert = require('node:assert/strict');
const { describe } = require('node:test');
const { KINDS, Stage, later, scene, token, waitFor } = require('./lib');

const realtime = KINDS.filter(({ kind }) => kind !== 'phoenix');
const DELIVERIES = ['at-most-once', 'at-least-once'];

describe('sessions: promises', { concurrency: 2 }, () => {
  scene('a message whose answer is lost with the server: an error, or said again', async (s) => {
    const routes = Object.fromEntries(DELIVERIES.map((delivery) => [`/${delivery}/`, { delivery }]));
    const stage = await Stage.start(s, { routes });
    const parties = await Promise.all(DELIVERIES.map((delivery) => stage.parties({ path: `/${delivery}`, room: delivery, ack: true })));
    await stage.settled('a');
    await stage.a.knobs({ hang: 'ack' });
    const answers = parties.flat().map(({ guest }) => guest.say());
    await stage.each(({ guest, witness }) => waitFor('the witness to hear it', () => witness.heardFrom(guest.name).length === 1));
    await stage.a.kill();
    const [once, again] = [(await Promise.all(answers.slice(0, 3))), (await Promise.all(answers.slice(3)))];
    await stage.settled('b');
    await stage.each(async (party) => {
      await party.arrived({ mayRepeat: true });
      party.undisturbed();
    });
    assert.deepEqual(once, ['error', 'error', 'error'], 'at-most-once: nobody knows whether it arrived');
    for (const { guest, witness } of parties[0]) assert.deepEqual(witness.heardFrom(guest.name), [1, 2]);
    // A plain Phoenix server may have been asked for anything: only what is known to bear it is said twice.
    assert.deepEqual(again.slice(0, 2), ['ok', 'ok'], 'at-least-once: it is said again');
    for (const { guest, witness } of parties[1].slice(0, 2)) assert.deepEqual(witness.heardFrom(guest.name), [1, 1, 2]);
    await waitFor('the count of them', async () => {
      const metrics = await stage.gateway.metrics();
      return metrics.sum('session_messages_unknown_total') >= 3 && metrics.sum('session_messages_resent_total') >= 2;
    });
  });

  // No wait of a gateway would settle this: the cluster may take longer, and when it has handed on everything before the session comes to
  // the next server, nobody sees that it has.
  for (const [what, lose] of [['is gone, though it lives', (region) => region.knobs({ frame: 'cut' }, { once: true })], ['is killed', (region) => region.kill()]]) {
    scene(`what a server that ${what} had answered comes behind what the next one is told, when their cluster is slow: both in order, and once`, async (s) => {
      const routes = Object.fromEntries(DELIVERIES.map((delivery) => [`/${delivery}/`, { delivery }]));
      const stage = await Stage.start(s, { routes });
      for (const delivery of DELIVERIES) await stage.parties({ path: `/${delivery}`, room: delivery, ack: true });
      await stage.settled('a');
      const sayTwo = () => stage.each(async ({ guest }) => assert.deepEqual(await Promise.all([guest.say(), guest.say()]), ['ok', 'ok']));
      const hears = (numbers) => stage.each(({ guest, witness }) => waitFor(`${numbers}`, () => witness.heardFrom(guest.name).join() === numbers));
      stage.redis.freeze();
      await sayTwo();
      await stage.a.stats(); // by then it has written to the cluster, too
      await lose(stage.a);
      await stage.settled('b');
      await sayTwo();
      await hears('3,4');
      stage.redis.thaw();
      await hears('3,4,1,2');
      await stage.each(async (party) => {
        await party.arrived({ mayLose: 2, losses: 1 });
        party.undisturbed();
        // Without `self` only the cluster brings what one said oneself; a stock channel tells everybody.
        const echoed = party.guest.heardFrom(party.guest.name);
        if (party.kind !== 'phoenix') assert.ok(echoed.every((n) => n <= 2), `the guest heard itself: ${echoed}`);
      });
    });
  }

  scene('a message that kills servers kills two of three, or one when nothing is said twice', async (s) => {
    for (const [delivery, left] of [['at-most-once', 2], ['at-least-once', 1]]) {
      const stage = await Stage.start(s, {
        names: ['a', 'b', 'c'], websocket: { delivery, backoff: { first: '200ms', max: '500ms' } }, servers: { c: { tier: 'emergency' } },
        knobs: { all: { stop_after_event: 'poison' } },
      });
      await stage.parties({ kinds: [realtime[0]], witness: 'c', ack: true });
      await stage.settled('a');
      const [{ guest }] = stage.all;
      await guest.say('poison');
      await stage.settled(left === 2 ? 'b' : 'c');
      await stage.each(async (party) => {
        assert.equal(await guest.say(), 'ok');
        party.undisturbed();
      });
      const running = () => stage.regions.filter((region) => region.process.isRunning).length;
      await waitFor(`the end of the others, ${delivery}`, () => running() <= left); // it closes its sockets first
      assert.equal(running(), left, delivery);
    }
  });

  scene('a presence that kills servers kills two of three: it is refused, and all else goes on at the third', async (s) => {
    const stage = await Stage.start(s, {
      names: ['a', 'b', 'c'], websocket: { backoff: { first: '200ms', max: '500ms' } }, servers: { c: { tier: 'emergency' } },
    });
    await stage.parties({ kinds: [realtime[0]], witness: 'c', ack: true });
    await stage.settled('a');
    const [{ guest, witness }] = stage.all;
    await Promise.all(stage.regions.map((region) => region.knobs({ stop_after_event: 'presence' })));
    assert.equal(await guest.track({ who: 'ann', mood: 'deadly' }), 'error');
    await stage.settled('c');
    await waitFor('the witness to see that it is gone', () => !('ann' in witness.seen));
    await stage.each(async (party) => {
      assert.equal(await guest.say(), 'ok');
      party.undisturbed();
    });
    await waitFor('the end of the other two', () => stage.regions.filter((region) => region.process.isRunning).length <= 1);
    assert.ok(stage.regions[2].process.isRunning);
    await stage.counts('session_messages_poisoned_total', 1);
  });

  scene('at least once: what nobody answers arrives as well', async (s) => {
    const stage = await Stage.start(s, { websocket: { delivery: 'at-least-once' } });
    await stage.parties({ kinds: realtime });
    await stage.settled('a');
    await stage.during(() => stage.a.kill());
    await stage.each(async (party) => {
      await party.arrived({ mayLose: 0, mayRepeat: true });
      party.undisturbed();
    });
  });

  scene('broadcasts of the database that were sent meanwhile are fetched, once and in order', async (s) => {
    const stage = await Stage.start(s);
    await stage.parties({ kinds: realtime, isPrivate: true, accessToken: () => token(3600), witness: null });
    await stage.settled('a');
    let n = 0;
    const post = () => Promise.all(stage.all.map(({ guest }) => stage.b.broadcast(guest.room, 'n', { from: 'db', n }))).finally(() => { n += 1; });
    const all = () => stage.each(({ guest }) => waitFor('all of them', () => guest.heardFrom('db').length >= n));
    for (let i = 0; i < 3; i++) await post();
    await all();
    await stage.b.knobs({ join_delay: '500ms' });
    await stage.a.kill();
    for (let i = 0; i < 3; i++) await post();
    await stage.settled('b');
    for (let i = 0; i < 3; i++) await post();
    await all();
    await stage.each(({ guest }) => assert.deepEqual(guest.heardFrom('db'), [0, 1, 2, 3, 4, 5, 6, 7, 8]));
    await stage.each((party) => party.undisturbed());
  });

  scene('messages that wait for a server: the newest are kept in order, and who said the others hears of it', async (s) => {
    const stage = await Stage.start(s, { websocket: { queue: 5, backoff: { first: '200ms', max: '500ms' } } });
    await stage.parties({ ack: true, witness: null });
    await Promise.all([stage.a.kill(), stage.b.kill()]);
    await stage.connected(0);
    await stage.each(async ({ guest }) => {
      for (let i = 0; i < 8; i++) guest.say();
      await waitFor('the oldest to be refused', () => guest.answers.length === 3);
      assert.deepEqual(guest.answers, [[1, 'error'], [2, 'error'], [3, 'error']]);
    });
    await stage.back();
    await stage.each(async (party) => {
      await waitFor('the others to be answered', () => party.guest.answers.length === 8);
      assert.deepEqual(party.guest.answers.slice(3), [4, 5, 6, 7, 8].map((n) => [n, 'ok']));
      party.undisturbed();
    });
    await stage.counts('session_messages_dropped_total', 9);
  });

  scene('an answer that does not come in time is an error, before the client gives up by itself', async (s) => {
    const stage = await Stage.start(s, { websocket: { answer_within: '1s' } });
    await stage.parties({ ack: true, witness: null });
    await Promise.all([stage.a.kill(), stage.b.kill()]);
    await stage.connected(0);
    await stage.each(async (party) => {
      assert.equal(await party.guest.say(), 'error');
      party.undisturbed();
    });
  });

  scene('changes of the database go on with the same bindings, and the gap is told', async (s) => {
    const stage = await Stage.start(s, { knobs: { all: { ready_delay: '300ms' } } });
    const changes = [{ event: 'INSERT', schema: 'public', table: 'cars', filter: 'owner=eq.7' }, { event: '*', schema: 'public', table: 'bikes' }];
    await stage.parties({ kinds: realtime, changes });
    await stage.settled('a');
    const write = async () => [(await stage.b.rows('POST', 'cars', { owner: 7 }))[0], (await stage.b.rows('POST', 'cars', { owner: 8 }))[0], (await stage.b.rows('POST', 'bikes', { owner: 7 }))[0]];
    const told = (rows) => stage.each(({ guest }) => waitFor('the changes', () => rows.every(([at, { id }]) => guest.changes.some((change) => change.at === at && change.record.id === id))));
    const ready = (region) => waitFor('changes to flow', async () => (await region.channels()).filter(({ key }) => key === 'ann').every((channel) => channel.ready));
    await ready(stage.a);
    const first = await write();
    await told([[0, first[0]], [1, first[2]]]);
    await stage.a.kill();
    await stage.settled('b');
    await ready(stage.b);
    const second = await write();
    await told([[0, second[0]], [1, second[2]]]);
    await stage.each(async (party) => {
      party.undisturbed();
      assert.equal(party.guest.changes.length, 4, 'each once, and nothing else');
      assert.equal(party.guest.systems.filter(({ message }) => /Subscribed/.test(message)).length, 1, 'it is subscribed as it was');
      await waitFor('the notice of the gap', () => party.guest.systems.some(({ extension }) => extension === 'gateway'));
    });
  });

  scene('a route that is strict about gaps has its channels join again', async (s) => {
    const stage = await Stage.start(s, { websocket: { gap: 'rejoin' } });
    await stage.parties({ kinds: realtime, changes: [{ event: '*', schema: 'public', table: 'cars' }] });
    await stage.a.kill();
    await stage.each(async (party) => {
      await party.guest.is('CHANNEL_ERROR');
      await party.guest.is('SUBSCRIBED', { count: 2 });
      party.rejoined();
      await party.arrived();
    });
  });

  scene('idle clients stay for as long as they like', async (s) => {
    const stage = await Stage.start(s, { websocket: { heartbeat: '300ms', dead_after: '900ms' } });
    await stage.parties({ heartbeatMs: 300 });
    await later(3000); // ten heartbeats on either side
    await stage.each(async (party) => {
      await party.arrived();
      party.undisturbed();
    });
    await stage.counts('session_failovers_total', 0);
  });
});
