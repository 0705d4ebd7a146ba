// Sessions that are moved on purpose: the new server has everything before the old one is left. Nothing is lost, nobody flickers.
'use strict';

const assert = require('node:assert/strict');
const { describe } = require('node:test');
const { KINDS, Stage, scene, verdicts, waitFor } = require('./lib');

const realtime = KINDS.filter(({ kind }) => kind !== 'phoenix');

// Not a message was lost in either direction, and no presence was missing for a moment.
async function smooth(stage) {
  await stage.each(async (party) => {
    await party.arrived();
    await party.hears();
    await party.present();
    party.undisturbed();
    assert.deepEqual([party.witness.missed, party.guest.missed], [[], []]);
    await waitFor('one entry each', () => party.witness.seen.ann === 1 && party.guest.seen.wit === 1);
  });
}

const left = (region) => waitFor(`${region.name} to be left`, async () => (await region.channels()).length === 0);

describe('sessions: moved', { concurrency: 2 }, () => {
  scene('by an operator who drains a server', async (s) => {
    const stage = await Stage.start(s, { check: 'calm' });
    await stage.parties();
    await stage.settled('a');
    await stage.during(async () => assert.equal((await stage.gateway.ctl('drain', 'p/a')).code, 0));
    await left(stage.a);
    await smooth(stage);
    await stage.counts('session_moves_total', 3);
    await stage.counts('session_failovers_total', 0);
  });

  scene('by a configuration without their server', async (s) => {
    const stage = await Stage.start(s);
    await stage.parties();
    await stage.settled('a');
    await stage.during(() => stage.gateway.reload(stage.config(['b'])));
    await left(stage.a);
    await smooth(stage);
  });

  scene('by a server that restarts, and refuses a channel they join: it is made where they go', async (s) => {
    const stage = await Stage.start(s);
    await stage.parties();
    await stage.settled('a');
    await stage.a.knobs({ join_error: 'RealtimeRestarting: Realtime is restarting, please standby', join_error_delay: '500ms' });
    const late = [];
    await stage.during(async () => {
      for (const { guest } of stage.all) {
        const other = new guest.constructor(s, guest.url, { key: 'late', room: 'other' });
        other.client = guest.client;
        other.join();
        late.push(other);
      }
      await Promise.all(late.map((each) => each.is('SUBSCRIBED')));
    });
    await left(stage.a);
    await smooth(stage);
    for (const each of late) assert.deepEqual(each.statuses, ['SUBSCRIBED']);
    await stage.counts('session_moves_total', 3);
    await stage.counts('session_failovers_total', 0);
  });

  scene('no faster than they may be', async (s) => {
    const stage = await Stage.start(s, { check: 'calm', websocket: { move: { rate: 2 } } });
    await stage.parties();
    await stage.parties({ room: 'more', kinds: realtime });
    await stage.settled('a');
    const start = Date.now();
    await stage.gateway.ctl('drain', 'p/a');
    await stage.settled('b');
    assert.ok(Date.now() - start >= 900, 'five at two a second');
    await stage.each((party) => party.undisturbed());
  });

  scene('drained while no other server is there: they stay', async (s) => {
    const stage = await Stage.start(s, { check: 'quick' });
    await stage.parties({ witness: null });
    await stage.settled('a');
    await stage.b.kill();
    await verdicts(stage.gateway, { b: 'down' });
    await stage.gateway.ctl('drain', 'p/a');
    await stage.each((party) => party.arrived());
    await stage.region('b');
    await stage.settled('b');
    await stage.each(async (party) => {
      await party.arrived();
      party.undisturbed();
    });
  });

  scene('killed in the middle of a move: to the third', async (s) => {
    const stage = await Stage.start(s, { check: 'calm', names: ['a', 'b', 'c'], servers: { c: { tier: 'emergency' } } });
    await stage.parties({ witness: 'c' });
    await stage.settled('a');
    await stage.b.knobs({ join_delay: '20s' });
    await stage.during(async () => {
      await stage.gateway.ctl('drain', 'p/a');
      await waitFor('b to be asked', async () => (await stage.b.stats()).open >= 3);
      await Promise.all([stage.a.kill(), stage.b.kill()]);
    }, { settled: 'c' });
    await stage.each(async (party) => {
      await party.arrived({ mayLose: 30, losses: 1 });
      party.undisturbed();
    });
  });

  scene('back to the better tier, or never', async (s) => {
    const stage = await Stage.start(s, { check: 'quick', routes: { '/paced/': { move: { fail_back: 'paced' } }, '/never/': {} } });
    const [paced, never] = await Promise.all([stage.parties({ path: '/paced', room: 'paced' }), stage.parties({ path: '/never', room: 'never', key: 'bea', track: { who: 'bea' } })]);
    await stage.a.kill();
    await stage.settled('b', { count: 3 });
    await stage.settled('b', { count: 3, key: 'bea' });
    await stage.region('a');
    stage.all = paced;
    await stage.settled('a', { ms: 20000 });
    await smooth(stage);
    stage.all = never;
    await stage.settled('b', { key: 'bea' });
    await stage.each(async (party) => {
      await party.arrived();
      party.undisturbed();
    });
  });

  scene('with a presence the server thought of a key for', async (s) => {
    const stage = await Stage.start(s, { check: 'calm' });
    const watchers = [];
    for (const Kind of realtime) {
      const guest = await Kind.open(s, stage.gateway.url, { key: '', name: 'ann', track: { who: 'ann' }, room: Kind.kind });
      const watcher = await Kind.open(s, stage.b.url, { key: 'wit', track: { who: 'wit' }, room: Kind.kind });
      await waitFor('both to be seen', () => Object.keys(watcher.seen).length === 2);
      watchers.push({ guest, watcher, keys: Object.keys(watcher.seen).sort() });
    }
    await stage.gateway.ctl('drain', 'p/a');
    await left(stage.a);
    for (const { guest, watcher, keys } of watchers) {
      await waitFor('one entry each', () => Object.values(watcher.seen).every((count) => count === 1));
      assert.deepEqual([Object.keys(watcher.seen).sort(), watcher.missed], [keys, []]);
      assert.deepEqual(guest.statuses, ['SUBSCRIBED']);
    }
  });
});
