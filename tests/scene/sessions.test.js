// A session outlives its server, whatever way that one goes. Each scene plays with all kinds of real clients at once, and asks them
// what they noticed: no WebSocket closed, no channel failed, messages in order and none twice, nobody gone from presence.
'use strict';

const assert = require('node:assert/strict');
const { describe } = require('node:test');
const { KINDS, Stage, holders, later, scene, verdicts, waitFor } = require('./lib');

// Messages come every 10 ms. What is under way when a server dies may be lost; nobody can know whether it had them.
const IN_FLIGHT = 30;

describe('sessions: a server goes', { concurrency: 2 }, () => {
  scene('killed', async (s) => {
    const stage = await Stage.start(s);
    await stage.parties();
    await stage.settled('a');
    await stage.during(() => stage.a.kill());
    await stage.each(async (party) => {
      await party.arrived({ mayLose: IN_FLIGHT, losses: 1 });
      await party.hears({ mayLose: 300 }); // what was said while it had no server
      await party.present();
      party.undisturbed();
      assert.deepEqual(party.witness.missed, [], 'the guest was there again before the cluster missed it');
    });
    for (const name of ['session_failovers_total', 'session_joins_replayed_total']) await stage.counts(name, 3);
    await stage.connected(3);
  });

  scene('killed, and the next one, and the next', async (s) => {
    const stage = await Stage.start(s, { names: ['a', 'b', 'c'], servers: { c: { tier: 'backup' } } });
    await stage.parties({ witness: 'c', kinds: KINDS });
    await stage.settled('a');
    for (let i = 0; i < 4; i++) {
      const [from, to] = i % 2 === 0 ? ['a', 'b'] : ['b', 'a'];
      await stage.c.knobs({ upgrade_status: 503 }); // there for the witnesses alone
      await stage.during(() => stage[from].kill(), { settled: to });
      await stage.region(from);
      await stage.met();
    }
    await stage.each(async (party) => {
      await party.arrived({ mayLose: 4 * IN_FLIGHT, losses: 4 });
      await party.hears({ mayLose: Infinity });
      await party.present();
      party.undisturbed();
    });
    await stage.counts('session_failovers_total', 12);
  });

  scene('frozen: it says nothing, and the checker notices', async (s) => {
    const stage = await Stage.start(s, { check: 'quick' });
    await stage.parties();
    await stage.settled('a');
    await stage.during(async () => {
      stage.a.freeze();
      await verdicts(stage.gateway, { a: 'down' });
    });
    await stage.each(async (party) => {
      await party.arrived({ mayLose: Infinity });
      await party.hears({ mayLose: Infinity });
      await party.present();
      party.undisturbed();
    });
    await stage.a.kill();
  });

  scene('frozen where nobody checks: its heartbeats are missing', async (s) => {
    const stage = await Stage.start(s, { websocket: { heartbeat: '300ms', dead_after: '900ms' } });
    await stage.parties();
    await stage.settled('a');
    await stage.during(() => stage.a.freeze());
    await stage.each(async (party) => {
      await party.arrived({ mayLose: Infinity });
      await party.hears({ mayLose: Infinity });
      party.undisturbed();
    });
    await stage.a.kill();
  });

  scene('stopped: it closes one WebSocket after the other with 1012', async (s) => {
    const stage = await Stage.start(s, { knobs: { a: { drain: '500ms' } } });
    await stage.parties();
    await stage.settled('a');
    await stage.during(() => stage.a.stop());
    await stage.each(async (party) => {
      await party.arrived({ mayLose: IN_FLIGHT, losses: 1 });
      await party.hears({ mayLose: 300 });
      await party.present();
      party.undisturbed();
    });
  });

  scene('sent away: "Server requested disconnect", and 1012', async (s) => {
    const stage = await Stage.start(s);
    await stage.parties();
    await stage.settled('a');
    await stage.during(() => stage.a.trouble('disconnect'), { settled: undefined });
    await stage.each(async (party) => {
      await party.arrived({ mayLose: IN_FLIGHT, losses: 1 });
      await party.hears({ mayLose: 300 });
      await party.present();
      party.undisturbed();
      assert.deepEqual(party.guest.systems.filter(({ message }) => /disconnect/.test(message)), []);
    });
  });

  for (const [title, knobs] of [['1011', { close: 1011 }], ['a reset', { frame: 'reset' }], ['no close frame', { frame: 'cut' }], ['garbage', { frame: 'garbage' }], ['1000', { close: 1000 }]]) {
    scene(`gone with ${title}, though it lives`, async (s) => {
      const stage = await Stage.start(s);
      await stage.parties();
      await stage.settled('a');
      await stage.during(() => stage.a.knobs(knobs, { once: true }), { settled: undefined });
      await stage.each(async (party) => {
        await party.arrived({ mayLose: IN_FLIGHT, losses: 1 });
        await party.hears({ mayLose: 300 });
        party.undisturbed();
      });
    });
  }
});

describe('sessions: more than one server goes', { concurrency: 3 }, () => {
  scene('the second one dies while it is told of the session', async (s) => {
    // The stall of a join is the moment to strike; b comes first, as it is the only one of its tier.
    const stage = await Stage.start(s, { names: ['a', 'b', 'c'], servers: { c: { tier: 'emergency' } }, knobs: { b: { join_delay: '20s' } } });
    await stage.parties({ witness: 'c' });
    await stage.settled('a');
    await stage.during(async () => {
      await stage.a.kill();
      await waitFor('b to be told of all', async () => (await stage.b.stats()).open >= 3);
      await stage.b.kill();
    }, { settled: 'c' });
    await stage.each(async (party) => {
      await party.arrived({ mayLose: IN_FLIGHT, losses: 1 });
      await party.hears({ mayLose: Infinity });
      await party.present();
      party.undisturbed();
    });
  });

  scene('all are gone for twenty seconds', { timeout: 90000 }, async (s) => {
    const stage = await Stage.start(s);
    await stage.parties({ witness: null });
    await stage.settled('a');
    await Promise.all([stage.a.kill(), stage.b.kill()]);
    await stage.connected(0);
    await later(20000);
    await stage.each((party) => party.undisturbed());
    await stage.back();
    await stage.each(async (party) => {
      await party.arrived();
      await party.hears();
      await party.present();
      party.undisturbed();
    });
  });

  scene('the only one restarts: everybody is back as soon as it is, however many failures there were', async (s) => {
    const stage = await Stage.start(s, { names: ['a'], pool: { circuit: { open: '30s' } } });
    await stage.parties({ witness: null, room: 'x' });
    await stage.parties({ witness: null, room: 'y' });
    await stage.a.kill();
    await stage.connected(0);
    await stage.back({ ms: 6000 });
    await stage.each(async (party) => {
      await party.arrived();
      party.undisturbed();
    });
  });

  scene('all are gone for longer than the route puts up with: the channels fail, the WebSockets stay', async (s) => {
    const stage = await Stage.start(s, { websocket: { give_up: '1s', backoff: { max: '1s' } } });
    await stage.parties({ witness: null });
    await Promise.all([stage.a.kill(), stage.b.kill()]);
    await stage.each(({ guest }) => guest.is('CHANNEL_ERROR'));
    await stage.back({ settled: false });
    await stage.each(async (party) => {
      await Promise.all([party.guest, party.witness].map((each) => each.is('SUBSCRIBED', { count: 2, ms: 30000 })));
      await party.arrived();
      party.rejoined();
    });
  });
});

describe('sessions: a worker goes', () => {
  scene('killed: its clients come back by themselves, and those of another worker notice nothing', { timeout: 90000 }, async (s) => {
    const stage = await Stage.start(s, { config: { workers: 2 } });
    const { 'worker-0': { pid: keeper }, 'worker-1': { pid: victim } } = await stage.gateway.processes();
    const partiesOf = (pid) => {
      const holder = holders(stage.gateway.port, [keeper, victim]);
      return stage.all.filter(({ guest }) => holder.get(guest.webSocket._socket.localPort) === pid);
    };
    // The kernel deals connections out as it likes: until each worker has all kinds.
    const hasAllKinds = (pid) => new Set(partiesOf(pid).map(({ kind }) => kind)).size === KINDS.length;
    do await stage.parties({ room: `room${stage.all?.length ?? 0}-`, ack: true });
    while (!hasAllKinds(keeper) || !hasAllKinds(victim));
    await stage.settled('a');
    const [doomed, others] = [partiesOf(victim), partiesOf(keeper)];
    assert.equal(doomed.length + others.length, stage.all.length);
    await stage.each((party) => Promise.all([party.arrived(), party.hears()]));

    const talkers = others.flatMap(({ guest, witness }) => [guest, witness]);
    const heard = (count) => stage.each(({ guest, witness }) => Promise.all([witness.hears(guest.name, count), guest.hears(witness.name, count)]), others);
    for (const each of talkers) each.talk(50);
    await heard(3);
    process.kill(victim, 'SIGKILL');
    await stage.gateway.process.line(new RegExp(`child ended child=worker-1 pid=${victim} status="signal KILL"`));
    await stage.each(async ({ guest }) => {
      await guest.is('SUBSCRIBED', { count: 2 });
      await guest.appear();
    }, doomed);
    await heard(3);
    for (const each of talkers) each.hush();

    await stage.each(async (party) => {
      await party.arrived();
      await party.hears();
      await party.present();
    });
    await stage.each(async ({ guest, witness }) => {
      assert.deepEqual(witness.missed, []);
      for (const each of [guest, witness]) {
        await waitFor('the last answer', () => each.answers.length === each.said);
        assert.deepEqual(each.answers.filter(([, how]) => how !== 'ok'), []);
      }
    }, others);
    for (const party of others) party.undisturbed();
    for (const { guest } of doomed) {
      assert.equal(guest.openCount, 2);
      assert.match(guest.closes[0], /^1006/);
      assert.equal(guest.statuses.at(-1), 'SUBSCRIBED');
    }
    assert.equal((await stage.gateway.processes())['worker-0'].pid, keeper);
    await stage.connected(stage.all.length);
  });
});
