// What one client's handshake goes through while servers refuse, stay silent, or answer nonsense: the next server, the deadlines,
// the bounds, and the circuit. No checker helps here: it does not ask.
'use strict';

const assert = require('node:assert/strict');
const { describe } = require('node:test');
const { blackhole, metric, onePool, scene, servers, standings, upgradeAnswer, upgradeRequest, visit, waitFor, where } = require('./lib');

const UNCHECKED = { type: 'none' };
const PATIENT = { connect_timeout: '20s', upgrade_timeout: '20s', failover_timeout: '30s' };

// A pool whose first server is `url`, a bad one, and whose second works.
async function besideGood(s, url, pool = {}) {
  const good = await s.region({ name: 'good' });
  const gateway = await s.gateway(onePool({ check: UNCHECKED, servers: servers([{ name: 'bad', url }, good], {}, { tier: 'backup' }), ...pool }));
  return gateway;
}

function requests(regions) {
  return Promise.all(regions.map(async (region) => (await region.stats()).requests));
}

const sum = (numbers) => numbers.reduce((a, b) => a + b, 0);

describe('attempts', { concurrency: true }, () => {
  scene('a refused connection moves on at once', async (s) => {
    const gateway = await besideGood(s, `ws://127.0.0.1:${await s.freePort()}`, PATIENT);
    const begin = Date.now();
    assert.equal(await where(s, gateway), 'good');
    assert.ok(Date.now() - begin < 5000);
    const { bad, good } = await standings(gateway);
    assert.deepEqual([bad.attempts, bad.failures, good.attempts, good.retries, good.failures], [1, 1, 1, 1, 0]);
  });

  scene('a black hole costs the connect timeout', async (s) => {
    const gateway = await besideGood(s, `ws://127.0.0.1:${await blackhole(s)}`, { ...PATIENT, connect_timeout: '300ms' });
    const begin = Date.now();
    assert.equal(await where(s, gateway), 'good');
    assert.ok(Date.now() - begin >= 290);
    await gateway.process.line(/attempt failed.*server=p\/bad phase=connect cause=timeout/);
  });

  scene('a slow upgrade is waited for within upgrade_timeout, and not beyond', async (s) => {
    const slow = await s.region({ name: 'slow', knobs: { delay: '300ms' } });
    const gateway = await besideGood(s, slow.url, PATIENT);
    assert.equal(await where(s, gateway), 'slow');
    await slow.knobs({ delay: '20s' });
    await gateway.reload(onePool({ check: UNCHECKED, ...PATIENT, upgrade_timeout: '200ms', servers: servers([slow]) }));
    assert.equal(await where(s, gateway), 504);
    await gateway.process.line(/attempt failed.*server=p\/slow phase=answer cause=timeout/);
  });

  scene('a slow accept: the connection waits in the backlog until somebody takes it', async (s) => {
    const region = await s.region({ name: 'late' });
    const gateway = await besideGood(s, region.url, PATIENT);
    region.freeze();
    const opening = where(s, gateway);
    await waitFor('the attempt to begin', async () => (await standings(gateway)).bad.attempts === 1);
    region.thaw();
    assert.equal(await opening, 'late');
  });

  const nonsense = {
    'what is no HTTP': (raw) => raw.write('220 mail.example.com ESMTP\r\n\r\n'),
    'nothing, and hangs up': (raw) => raw.finish(),
    'nothing, and resets': (raw) => raw.reset(),
    'half a head': (raw) => raw.write('HTTP/1.1 101 Switching').finish(),
    'a head that does not end': (raw) => raw.write(`HTTP/1.1 101 Switching Protocols\r\nX: ${'x'.repeat(200000)}`),
    'the wrong key': (raw, head) => raw.write(upgradeAnswer(head, { 'Sec-WebSocket-Accept': 'bm90IHRoZSByaWdodCBvbmUhISE=' })),
    'a subprotocol nobody asked for': (raw, head) => raw.write(upgradeAnswer(head, { 'Sec-WebSocket-Protocol': 'surprise' })),
    '503': (raw) => raw.write('HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n'),
  };
  for (const [what, answer] of Object.entries(nonsense))
    scene(`a server that answers with ${what} is passed over`, async (s) => {
      const port = await s.server(async (raw) => {
        answer(raw, await raw.head());
      });
      const gateway = await besideGood(s, `ws://127.0.0.1:${port}`, PATIENT);
      assert.equal(await where(s, gateway), 'good');
      assert.equal((await standings(gateway)).bad.failures, 1);
    });

  scene('a refusal of the server’s own is passed on and no failure', async (s) => {
    const region = await s.region({ knobs: { upgrade_status: 403 } });
    const gateway = await besideGood(s, region.url);
    assert.equal(await where(s, gateway), 403);
    const { bad, good } = await standings(gateway);
    assert.deepEqual([bad.failures, bad.refusals, good.attempts], [0, 1, 0]);
  });

  scene('max_retries bounds the attempts, and the client hears what the last one said', async (s) => {
    const regions = await Promise.all(['a', 'b', 'c', 'd', 'e'].map((name) => s.region({ name, knobs: { upgrade_status: 503 } })));
    const pool = { check: UNCHECKED, ...PATIENT, max_retries: 2, servers: servers(regions) };
    const gateway = await s.gateway(onePool(pool));
    assert.equal(await where(s, gateway), 503);
    assert.equal(sum(await requests(regions)), 3);
    await gateway.reload(onePool({ ...pool, max_retries: 0 }));
    assert.equal(await where(s, gateway), 503);
    assert.equal(sum(await requests(regions)), 4);
    await gateway.reload(onePool({ ...pool, max_retries: 100 }));
    for (const region of regions) await region.kill();
    assert.equal(await where(s, gateway), 502); // each once, then there is nobody left to try
    const attempts = Object.values(await standings(gateway)).map((server) => server.attempts);
    assert.equal(sum(attempts), 4 + 5);
  });

  scene('failover_timeout bounds all attempts together: 504', async (s) => {
    const regions = await Promise.all(['a', 'b', 'c', 'd', 'e'].map((name) => s.region({ name, knobs: { hang: 'upgrade' } })));
    const gateway = await s.gateway(
      onePool({ check: UNCHECKED, max_retries: 10, upgrade_timeout: '300ms', failover_timeout: '800ms', servers: servers(regions) }),
    );
    const begin = Date.now();
    assert.equal(await where(s, gateway), 504);
    const took = Date.now() - begin;
    assert.ok(took >= 790 && took < 3000, `${took} ms`);
    // Its word, not the servers': the last attempt may be over before its server, on a busy machine, has looked at it.
    await gateway.process.line(/request answered .*attempts=3 status=504 reason="failover timeout"/);
  });

  scene('a client that gives up ends the attempt, which proves nothing about the server', async (s) => {
    const region = await s.region({ knobs: { hang: 'upgrade' } });
    const gateway = await besideGood(s, region.url, PATIENT);
    const raw = await s.connect(gateway.port);
    raw.write(upgradeRequest({ path: '/echo' }));
    await waitFor('the attempt', async () => (await region.stats()).requests === 1);
    assert.equal((await standings(gateway)).bad.connections, 1);
    raw.reset();
    const { bad, good } = await waitFor('its end', async () => {
      const now = await standings(gateway);
      return now.bad.connections === 0 && now;
    });
    assert.deepEqual([bad.failures, good.attempts], [0, 0]);
  });
});

describe('circuit', { concurrency: true }, () => {
  const circuit = { failures: 5, open: '1s', half_open: 1 };
  const state = (gateway) => metric(gateway, 'circuit_state', { server: 'region' });

  async function opened(s, rest = {}) {
    const region = await s.region({ knobs: { upgrade_status: 503 } });
    const gateway = await s.gateway(onePool({ check: UNCHECKED, circuit: { ...circuit, ...rest }, servers: servers([region]) }));
    for (let i = 0; i < circuit.failures; i++) {
      assert.equal(await state(gateway), 0);
      assert.equal(await where(s, gateway), 503);
    }
    assert.deepEqual(await requests([region]), [circuit.failures]);
    assert.equal(await state(gateway), 1);
    assert.equal(await metric(gateway, 'circuit_opens_total', { server: 'region' }), 1);
    return { gateway, region };
  }

  // Clients come one after the other until one of their attempts arrives at the region; resolves with where each of them got.
  async function untilTried(s, gateway, region) {
    const visits = [];
    const [before] = await requests([region]);
    await waitFor('an attempt to arrive', async () => {
      visits.push(where(s, gateway));
      return (await requests([region]))[0] > before;
    });
    for (let i = 0; i < 3; i++) visits.push(where(s, gateway));
    const ends = await Promise.all(visits);
    assert.equal((await requests([region]))[0], before + 1, 'exactly one');
    return ends;
  }

  scene('five failures in a row open it: nobody bothers the server any more', async (s) => {
    const { gateway, region } = await opened(s, { open: '1h' });
    await region.clearKnobs();
    for (let i = 0; i < 5; i++) assert.equal(await where(s, gateway), 503);
    assert.deepEqual(await requests([region]), [circuit.failures]);
    await gateway.process.line(/circuit opened.*server=p\/region/);
    await gateway.process.line(/rest_has_open_circuit/);
  });

  scene('after its rest one attempt finds out, alone; when it is well the circuit closes', async (s) => {
    const { gateway, region } = await opened(s);
    await region.knobs({ upgrade_status: '', delay: '500ms' });
    const ends = await untilTried(s, gateway, region);
    assert.deepEqual(ends.filter((end) => end !== 503), ['region']);
    assert.equal(await state(gateway), 0);
    await region.clearKnobs();
    assert.deepEqual(await Promise.all([1, 2, 3].map(() => where(s, gateway))), ['region', 'region', 'region']);
  });

  scene('when that attempt fails it opens again', async (s) => {
    const { gateway, region } = await opened(s);
    await region.knobs({ delay: '500ms' });
    const ends = await untilTried(s, gateway, region);
    assert.ok(ends.every((end) => end === 503));
    assert.equal(await metric(gateway, 'circuit_opens_total', { server: 'region' }), 2);
    assert.equal(await state(gateway), 1);
  });

  scene('a success in between starts the count again', async (s) => {
    const region = await s.region();
    const gateway = await s.gateway(onePool({ check: UNCHECKED, circuit: { ...circuit, failures: 2 }, servers: servers([region]) }));
    for (let i = 0; i < 3; i++) {
      await region.knobs({ upgrade_status: 503 });
      assert.equal(await where(s, gateway), 503);
      await region.clearKnobs();
      assert.equal((await visit(s, gateway)).region, 'region');
    }
    assert.equal(await state(gateway), 0);
  });

  scene('the checker’s word shortens its rest', async (s) => {
    const region = await s.region();
    const check = { type: 'tcp', interval: '1s', timeout: '200ms', rise: 1, fall: 1 };
    const gateway = await s.gateway(onePool({ check, circuit: { ...circuit, failures: 1, open: '1h' }, servers: servers([region]) }));
    await waitFor('it to be up', async () => (await standings(gateway)).region.state === 'up');
    await region.kill();
    assert.equal(await where(s, gateway), 502);
    await waitFor('it to be down', async () => (await standings(gateway)).region.state === 'down');
    assert.equal(await state(gateway), 1);
    await s.region({ port: region.port });
    await waitFor('it to be up again', async () => (await standings(gateway)).region.state === 'up');
    assert.equal(await where(s, gateway), 'region');
    assert.equal(await state(gateway), 0);
  });
});
