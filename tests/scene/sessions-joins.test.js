// Joins of a session: those replayed to another server, which may be slow or refused, and those a client makes meanwhile.
'use strict';

const assert = require('node:assert/strict');
const { describe } = require('node:test');
const { Client, KINDS, Stage, isSanitized, scene, token, waitFor } = require('./lib');

const realtime = KINDS.filter(({ kind }) => kind !== 'phoenix');

// So many WebSockets of the gateway's have come to a region, besides those of its checks and of witnesses.
const reached = (region, count) => waitFor(`${count} sessions to reach ${region.name}`, async () => (await region.stats()).open >= count);

describe('sessions: joins that are replayed', { concurrency: 2 }, () => {
  scene('slow ones, though heartbeats wait for them: the server is not taken for dead', async (s) => {
    const stage = await Stage.start(s, { websocket: { heartbeat: '300ms', dead_after: '900ms', hedge_after: '100ms' } });
    await stage.parties();
    await stage.settled('a');
    const before = (await stage.b.stats()).joins;
    await stage.b.knobs({ join_delay: '2s' });
    await stage.during(() => stage.a.kill());
    await stage.each((party) => party.undisturbed());
    assert.equal((await stage.b.stats()).joins - before, 3, 'each join once');
  });

  scene('refused for good: the channel fails, and the client joins again', async (s) => {
    const stage = await Stage.start(s);
    await stage.parties();
    await stage.settled('a');
    await stage.b.knobs({ join_error: 'Unauthorized: You do not have permissions to read from this Channel topic: room', join_error_count: 3 });
    await stage.a.kill();
    await stage.each(async (party) => {
      await party.guest.is('CHANNEL_ERROR');
      await party.guest.is('SUBSCRIBED', { count: 2 });
      party.rejoined();
      await party.arrived();
      await party.hears();
    });
  });

  scene('refused by one that restarts: another one takes them', async (s) => {
    const stage = await Stage.start(s, { names: ['a', 'b', 'c'] });
    await stage.parties({ witness: 'c' });
    await stage.settled('a');
    await stage.b.knobs({ join_error: 'RealtimeRestarting: Realtime is restarting, please standby' });
    await stage.during(() => stage.a.kill(), { settled: 'c' });
    await stage.each(async (party) => {
      await party.arrived({ mayLose: 30, losses: 1 });
      await party.present();
      party.undisturbed();
    });
  });

  scene('refused for a moment, because there were too many: they are made again', async (s) => {
    const stage = await Stage.start(s, { websocket: { backoff: { first: '200ms', max: '500ms' } } });
    await stage.parties();
    await stage.settled('a');
    await stage.b.knobs({ join_error: 'ClientJoinRateLimitReached: Too many joins per second', join_error_count: 3 });
    await stage.during(() => stage.a.kill());
    await stage.each(async (party) => {
      await party.arrived({ mayLose: 30, losses: 1 });
      await party.present();
      party.undisturbed();
    });
  });

  scene('429 for the WebSocket itself: later again', async (s) => {
    const stage = await Stage.start(s, { websocket: { backoff: { first: '200ms', max: '500ms' } } });
    await stage.parties();
    await stage.settled('a');
    await stage.b.knobs({ upgrade_status: 429 });
    await stage.a.kill();
    await waitFor('somebody to be refused', async () => (await stage.b.lastRequest('/socket/websocket')) !== null);
    await stage.b.clearKnobs();
    await stage.settled('b');
    await stage.each(async (party) => {
      await party.arrived();
      party.undisturbed();
    });
  });
});

describe('sessions: what a server ends', { concurrency: 2 }, () => {
  scene('an expired token: the channel fails instead of staying closed, and joins again with a fresh one', async (s) => {
    const stage = await Stage.start(s);
    await stage.parties({ accessToken: () => token() });
    await stage.a.trouble('expire');
    await stage.each(async (party) => {
      await party.guest.is('CHANNEL_ERROR');
      await party.guest.is('SUBSCRIBED', { count: 2 });
      party.rejoined();
      await party.arrived();
    });
  });

  scene('a token that had expired when the server went: nobody is asked with it, and the client brings a fresh one', async (s) => {
    const stage = await Stage.start(s, { knobs: { a: { expiry_delay: '60s' } } }); // servers look at them now and then
    const old = token(isSanitized ? 15 : 3);
    let newest = old;
    await stage.parties({ accessToken: () => newest, heartbeatMs: 500, witness: null });
    await waitFor('it to expire', () => Date.now() > (JSON.parse(Buffer.from(old.split('.')[1], 'base64url')).exp * 1000) + 10, 15000);
    await stage.each((party) => party.undisturbed());
    await stage.a.kill();
    await stage.each(({ guest }) => guest.is('CHANNEL_ERROR'));
    assert.ok((await stage.b.channels()).every((channel) => channel.token !== old));
    newest = token(3600);
    await stage.each(async (party) => {
      for (const each of [party.guest, party.witness]) await each.is('SUBSCRIBED', { count: 2, ms: 20000 });
      party.rejoined();
      await party.arrived();
    });
  });

  scene('a token that expires by itself', async (s) => {
    const stage = await Stage.start(s);
    let asked = 0;
    const accessToken = () => token((asked += 1) === 1 ? 2 : 3600);
    await stage.parties({ accessToken: undefined, witness: 'b' });
    const Kind = KINDS[2]; // it has no way to refresh but to join again
    const guest = await Kind.open(s, stage.gateway.url, { key: 'bob', room: 'own', accessToken });
    await guest.is('CHANNEL_ERROR');
    await guest.is('SUBSCRIBED', { count: 2 });
    assert.deepEqual([guest.closes, guest.openCount], [[], 1]);
    assert.ok(!guest.statuses.includes('CLOSED'));
    await stage.each((party) => party.undisturbed());
  });

  for (const what of ['rate', 'presence']) {
    scene(`a limit (${what}): the channel fails instead of staying closed, and joins again`, async (s) => {
      const stage = await Stage.start(s);
      await stage.parties();
      await stage.a.trouble(what);
      await stage.each(async (party) => {
        await party.guest.is('CHANNEL_ERROR');
        await party.guest.is('SUBSCRIBED', { count: 2 });
        party.rejoined();
        assert.equal(party.guest.systems.filter(({ status }) => status === 'error').length, 1, 'it heard why');
        await party.arrived();
      });
    });
  }

  scene('a permission that was taken away closes the channel', async (s) => {
    const stage = await Stage.start(s);
    await stage.parties({ kinds: realtime });
    await stage.a.trouble('revoke');
    await stage.each(async ({ guest }) => {
      await guest.is('CLOSED');
      assert.deepEqual(guest.closes, []);
    });
  });

  for (const what of ['close', 'error', 'lose']) {
    scene(`a channel for no reason (${what}): it is joined again, and nobody notices`, async (s) => {
      const stage = await Stage.start(s);
      await stage.parties();
      await stage.settled('a');
      await stage.during(() => stage.a.trouble(what), { settled: 'a' });
      await stage.each(async (party) => {
        await party.arrived({ mayLose: 30 });
        party.undisturbed();
      });
    });
  }
});

describe('sessions: what a client does meanwhile', { concurrency: 2 }, () => {
  scene('it leaves while its join is replayed, and comes back', async (s) => {
    const stage = await Stage.start(s);
    await stage.parties();
    await stage.settled('a');
    await stage.b.knobs({ join_delay: '1s' });
    await stage.a.kill();
    await reached(stage.b, 6);
    await stage.each(async ({ guest }) => {
      assert.equal(await guest.leave(), 'ok');
      await guest.is('CLOSED');
    });
    await waitFor('nobody to be left on b', async () => (await stage.b.channels()).every(({ key }) => key === 'wit'));
    await stage.b.clearKnobs();
    await stage.each(async (party) => {
      party.guest.join();
      await party.guest.is('SUBSCRIBED', { count: 2 });
      assert.deepEqual([party.guest.closes, party.guest.openCount], [[], 1]);
      await party.arrived();
    });
  });

  scene('it joins while there is no server at all', async (s) => {
    const stage = await Stage.start(s);
    await stage.parties({ witness: null });
    await Promise.all([stage.a.kill(), stage.b.kill()]);
    const late = await Promise.all(stage.all.map(async ({ guest }) => {
      const other = new guest.constructor(s, guest.url, { key: 'late', room: 'other' });
      other.client = guest.client;
      other.join();
      return other;
    }));
    await stage.back();
    await Promise.all(late.map((each) => each.is('SUBSCRIBED', { ms: 15000 })));
    await stage.each(async (party) => {
      await party.arrived();
      party.undisturbed();
    });
    for (const each of late) assert.deepEqual(each.statuses, ['SUBSCRIBED']);
  });

  scene('it joins a topic twice: both joins are answered, and it is the second one that lives on', async (s) => {
    const stage = await Stage.start(s);
    const c = await Client.open(s, `${stage.gateway.url}/socket/websocket?vsn=2.0.0`);
    const say = (...frame) => c.send(JSON.stringify(frame));
    const next = async () => JSON.parse(await c.message());
    const config = { config: { presence: { enabled: false }, broadcast: { ack: true } } };
    for (const ref of ['1', '2']) {
      say(ref, ref, 'realtime:x', 'phx_join', config);
      const [joinRef, answered, , event, { status }] = await next();
      assert.deepEqual([joinRef, answered, event, status], [ref, ref, 'phx_reply', 'ok']);
    }
    // The server closes the first one then, which clients have forgotten: whether they hear of it makes no difference.
    await waitFor('one channel to be left', async () => (await stage.a.channels()).length === 1);
    await stage.a.kill();
    await waitFor('the channel to be on b', async () => (await stage.b.channels())[0]?.join_ref === '2');
    say('2', '3', 'realtime:x', 'broadcast', { type: 'broadcast', event: 'n', payload: {} });
    const frame = await waitFor('the answer', async () => {
      const each = await next();
      return each[3] === 'phx_reply' && each;
    });
    assert.deepEqual([frame[0], frame[1], frame[4].status], ['2', '3', 'ok']);
  });

  scene('phoenix.js opens the topic a second time', async (s) => {
    const stage = await Stage.start(s);
    const [{ guest }] = await stage.parties({ kinds: [KINDS[2]] });
    const again = new guest.constructor(s, guest.url, { key: 'ann', room: guest.room });
    again.client = guest.client;
    again.join();
    await again.is('SUBSCRIBED');
    await guest.is('CLOSED');
    await stage.a.kill();
    await stage.settled('b');
    assert.equal(await again.say(), 'ok');
    assert.deepEqual([guest.closes, again.statuses], [[], ['SUBSCRIBED']]);
  });
});

describe('sessions: ready means ready', { concurrency: 2 }, () => {
  scene('with wait_ready a join is answered when changes flow', async (s) => {
    const stage = await Stage.start(s, { knobs: { all: { ready_delay: '700ms' } }, websocket: { wait_ready: '5s' } });
    await Promise.all(realtime.map(async (Kind) => {
      const guest = await Kind.open(s, stage.gateway.url, { key: 'ann', room: Kind.kind, changes: [{ event: 'INSERT', schema: 'public', table: 'cars' }] });
      const [row] = await stage.b.rows('POST', 'cars', { make: Kind.kind });
      await waitFor(`${Kind.kind} to hear of it`, () => guest.changes.some(({ record }) => record.id === row.id));
    }));
  });
});
