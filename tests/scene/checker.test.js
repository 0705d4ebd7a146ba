// What the checker asks, how it comes to a verdict, and what is left of it after a restart.
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const http = require('node:http');
const { describe } = require('node:test');
const { blackhole, event, metric, onePool, scene, servers, standings, verdicts, waitFor, where } = require('./lib');

const SOON = { interval: '200ms', timeout: '200ms', jitter: '0%' };

// A backend whose answers to checks are a queue of statuses; the last one stays. It notes when it was asked, and what.
async function backend(s, ...answers) {
  const asked = [];
  const server = http.createServer((request, response) => {
    asked.push({ at: Date.now(), url: request.url, headers: request.headers });
    response.writeHead(answers.length > 1 ? answers.shift() : answers[0]).end();
  });
  server.listen(0, '127.0.0.1');
  await event(server, 'listening');
  s.atEnd(() => {
    server.closeAllConnections();
    server.close();
  });
  return { name: 'backend', url: `ws://127.0.0.1:${server.address().port}`, server, asked, answer: (...next) => answers.splice(0, answers.length, ...next) };
}

describe('checks', { concurrency: true }, () => {
  scene('tcp: somebody listens', async (s) => {
    const region = await s.region();
    const silent = { name: 'silent', url: `ws://127.0.0.1:${await s.server(() => {})}` };
    const nobody = { name: 'nobody', url: `ws://127.0.0.1:${await s.freePort()}` };
    const hole = { name: 'hole', url: `ws://127.0.0.1:${await blackhole(s)}` };
    const gateway = await s.gateway(onePool({ check: { ...SOON, type: 'tcp' }, servers: servers([region, silent, nobody, hole]) }));
    await verdicts(gateway, { region: 'up', silent: 'up', nobody: /refused/, hole: /timeout: waiting for connection/ });
  });

  scene('http: the status decides, of the path and host that were asked for', async (s) => {
    const well = await backend(s, 204);
    const check = { ...SOON, type: 'http', path: '/health?deep=1', host: 'rt.example.test', expect: { status: '200-204' } };
    const ill = Object.assign(await backend(s, 503), { name: 'ill' });
    const odd = Object.assign(await backend(s, 418), { name: 'odd' });
    const gateway = await s.gateway(onePool({ check, servers: servers([well, ill, odd], {}, {}, { check: { expect: { status: 418 } } }) }));
    await verdicts(gateway, { backend: 'up', ill: /status 503/, odd: 'up' });
    assert.equal(well.asked[0].url, '/health?deep=1');
    assert.equal(well.asked[0].headers.host, 'rt.example.test');
    assert.match(well.asked[0].headers['user-agent'], /^tidegate/);
  });

  scene('http: a head that never comes is a timeout, and another port may be asked', async (s) => {
    const region = await s.region({ knobs: { delay: '60s' } });
    const side = await backend(s, 200);
    const check = { ...SOON, type: 'http', path: '/health' };
    const beside = { check: { port: Number(new URL(side.url).port) } };
    const gateway = await s.gateway(
      onePool({ check, servers: servers([region, { name: 'beside', url: region.url }], {}, beside) }),
    );
    await verdicts(gateway, { region: /timeout: waiting for response/, beside: 'up' });
  });

  scene('websocket: the upgrade, and a ping that is answered', async (s) => {
    const check = { ...SOON, type: 'websocket', path: '/socket/websocket?vsn=2.0.0' };
    const regions = await Promise.all([
      s.region({ name: 'well' }),
      s.region({ name: 'refusing', knobs: { upgrade_status: 403 } }),
      s.region({ name: 'mute', knobs: { hang: 'ping' } }),
      s.region({ name: 'closing', knobs: { close: 1013 } }),
    ]);
    const all = servers(regions, {}, {}, {}, { check: { path: '/echo' } });
    all.push({ name: 'unasked', url: regions[2].url, check: { speak: 'nothing' } });
    const gateway = await s.gateway(onePool({ check, servers: all }));
    const now = await verdicts(gateway, { well: 'up', refusing: /status 403/, mute: /timeout: waiting for pong/, unasked: 'up' });
    assert.ok(now.well.latency_us > 0);
    assert.equal((await regions[0].lastRequest('/socket')).target, '/socket/websocket?vsn=2.0.0');
  });
});

describe('verdicts', { concurrency: true }, () => {
  scene('fall and rise: so many in a row, asked every interval, sooner while it is not settled', async (s) => {
    const b = await backend(s, 200);
    const check = { ...SOON, interval: '1s', timeout: '1s', type: 'http', fall: 3, rise: 4 };
    const gateway = await s.gateway(onePool({ check, servers: servers([b]) }));
    await verdicts(gateway, { backend: 'up' });
    await waitFor('calm checks', () => b.asked.length >= 3);
    const gap = b.asked[2].at - b.asked[1].at;
    assert.ok(gap >= 500, `${gap} ms between two calm checks`); // a quarter would be 250

    const asked = (state) => gateway.process.line(new RegExp(`server changed.*server=p/backend.*new=${state}`), 8000, mark);
    let mark = gateway.process.mark();
    b.answer(500, 500, 200, 500); // two failures do not make it down
    const before = b.asked.length;
    await asked('down');
    assert.equal(b.asked.length - before, 6);
    assert.ok(b.asked[before + 1].at - b.asked[before].at < 750, 'in doubt it asks sooner');
    assert.equal((await standings(gateway)).backend.failures_in_row >= 3, true);

    mark = gateway.process.mark();
    b.answer(200, 200, 200, 500, 200); // three successes do not make it up
    const then = b.asked.length;
    await asked('up');
    assert.equal(b.asked.length - then, 8);
  });

  scene('unknown is not down: a server nobody has judged gets clients, and no alarm', async (s) => {
    const region = await s.region();
    const hanging = { name: 'hanging', url: `ws://127.0.0.1:${await s.server(() => {})}` };
    const check = { type: 'http', interval: '1h', timeout: '1h' };
    const gateway = await s.gateway(
      onePool({ check, upgrade_timeout: '200ms', servers: servers([hanging, region], {}, { tier: 'backup', check: { type: 'none' } }) }),
    );
    const now = await standings(gateway);
    assert.deepEqual([now.hanging.state, now.region.state], ['unknown', 'unknown']);
    assert.equal((await gateway.health()).json.status, 'ok');
    assert.equal(await where(s, gateway), 'region');
    assert.equal((await standings(gateway)).hanging.attempts, 1);
    assert.equal(await metric(gateway, 'server_up', { server: 'hanging' }), 1);
    assert.equal(await metric(gateway, 'server_state', { server: 'hanging', state: 'unknown' }), 1);
  });

  scene('what is known survives a restart of the gateway: down stays down, and since when', async (s) => {
    const region = await s.region();
    const dead = { name: 'dead', url: `ws://127.0.0.1:${await s.freePort()}` };
    const stateDir = fs.mkdtempSync(`${s.temp()}/state-`);
    const pool = (check) => onePool({ check, servers: servers([dead, region]) }, { state_dir: stateDir });
    const first = await s.gateway(pool({ ...SOON, type: 'tcp' }));
    const before = await verdicts(first, { dead: 'down', region: 'up' });
    await first.stop();
    assert.match(fs.readFileSync(`${stateDir}/verdicts`, 'utf8'), /down \d+ p\/dead/);

    const second = await s.gateway(pool({ type: 'tcp', interval: '1h', timeout: '1s', fall: 5 }), { name: 'second' }); // one probe settles nothing
    const after = await standings(second);
    assert.deepEqual([after.dead.state, after.region.state], ['down', 'up']);
    assert.equal(after.dead.since, before.dead.since);
    for (let i = 0; i < 3; i++) assert.equal(await where(s, second), 'region');
    assert.equal((await standings(second)).dead.attempts, 0);
    await second.stop();

    fs.writeFileSync(`${stateDir}/verdicts`, 'tidegate verdicts 1\nno\0nsense\n'.repeat(50));
    const third = await s.gateway(pool({ ...SOON, type: 'tcp' }), { name: 'third' });
    await verdicts(third, { dead: 'down', region: 'up' });
  });

  scene('it survives the checker as well, which comes back by itself', async (s) => {
    const region = await s.region();
    const dead = { name: 'dead', url: `ws://127.0.0.1:${await s.freePort()}` };
    const gateway = await s.gateway(onePool({ check: { ...SOON, type: 'tcp' }, servers: servers([dead, region]) }));
    await verdicts(gateway, { dead: 'down', region: 'up' });
    const checker = async () => (await gateway.status()).processes.find((each) => each.role === 'checker');
    const { pid } = await checker();
    process.kill(pid, 'SIGKILL');
    await waitFor('the end of the checker', async () => (await checker())?.state !== 'ready');
    const now = await standings(gateway);
    assert.deepEqual([now.dead.state, now.region.state], ['down', 'up']);
    assert.equal(await where(s, gateway), 'region');
    await waitFor('another checker', async () => {
      const other = await checker();
      return other?.state === 'ready' && other.pid !== pid;
    });
    await region.kill();
    await verdicts(gateway, { dead: 'down', region: 'down' });
  });

  scene('clients that are not answered have the server asked at once, long before its time', async (s) => {
    const [a, b] = await Promise.all([s.region({ name: 'a' }), s.region({ name: 'b' })]);
    const check = { type: 'http', path: '/health', interval: '1h', interval_undecided: '1h', timeout: '1s', rise: 1 };
    const gateway = await s.gateway(onePool({ check, servers: servers([a, b], {}, { tier: 'backup' }) }));
    await verdicts(gateway, { a: 'up', b: 'up' });
    await a.kill();
    await waitFor('clients to have told it', async () => {
      assert.equal(await where(s, gateway), 'b');
      return (await standings(gateway)).a.state === 'down';
    });
    assert.match((await standings(gateway)).a.cause, /no connection/);
  });

  scene('metrics tell the verdicts', async (s) => {
    const region = await s.region();
    const dead = { name: 'dead', url: `ws://127.0.0.1:${await s.freePort()}` };
    const gateway = await s.gateway(
      onePool({ check: { ...SOON, type: 'tcp' }, servers: servers([dead, region], { region: 'us' }, { tier: 'backup' }) }),
    );
    await verdicts(gateway, { dead: 'down', region: 'up' });
    const value = (family, labels) => metric(gateway, family, labels);
    assert.equal(await value('server_up', { pool: 'p', server: 'dead', region: 'us', tier: 'primary' }), 0);
    assert.equal(await value('server_up', { server: 'region' }), 1);
    assert.equal(await value('server_state', { server: 'dead', state: 'down' }), 1);
    assert.equal(await value('server_state', { server: 'dead', state: 'up' }), 0);
    assert.equal(await value('pool_tier', { pool: 'p', tier: 'backup' }), 1);
    assert.equal(await value('route_up', { route: 'all' }), 1);
    assert.equal(await value('health', { status: 'degraded' }), 1);
    assert.ok((await value('probes_total')) >= (await value('probe_failures_total')));
    assert.ok((await value('probe_failures_total')) >= 2);
    assert.ok((await value('server_probe_duration_seconds', { server: 'region' })) > 0);
    assert.ok((await value('checker_heartbeat_age_seconds')) < 5);
  });
});

describe('watched servers', { concurrency: true }, () => {
  scene('one that is killed is known to be down in a moment, however long the interval is', async (s) => {
    const [watched, unwatched] = await Promise.all([s.region({ name: 'watched' }), s.region({ name: 'unwatched' })]);
    const check = { type: 'http', path: '/health', interval: '30s', fall: 2 };
    const gateway = await s.gateway(onePool({ check, servers: servers([watched, unwatched], { check: { watch: true } }) }));
    await verdicts(gateway, { watched: 'up', unwatched: 'up' });
    await Promise.all([watched.kill(), unwatched.kill()]);
    const now = await verdicts(gateway, { watched: 'down' }, 3000);
    assert.match(now.watched.cause, /refused|no connection/);
    assert.equal(now.unwatched.state, 'up');
    assert.ok((await metric(gateway, 'probes_total')) <= 5); // a good one each, the two that failed, and one if it still listened while hanging up
  });

  scene('one that closes idle connections stays up, and is soon asked no more often than others', async (s) => {
    const b = await backend(s, 200);
    let connections = 0;
    b.server.on('connection', () => connections++);
    b.server.setTimeout(20); // hangs up on whoever is silent for longer
    const check = { ...SOON, type: 'http', path: '/health', fall: 1, watch: true };
    const gateway = await s.gateway(onePool({ check, servers: servers([b]) }));
    await waitFor('checks', () => b.asked.length >= 12);
    const idle = connections - b.asked.length; // three watched, one perhaps about to ask, and who was slow to ask was hung up on
    assert.ok(idle >= 3 && idle <= 6, `${connections} connections, ${b.asked.length} checks`);
    const calm = b.asked[11].at - b.asked[6].at;
    assert.ok(calm >= 700, `${calm} ms for five intervals of 200`);
    assert.equal((await standings(gateway)).backend.state, 'up');
    assert.equal(await metric(gateway, 'probe_failures_total'), 0);
    assert.equal(gateway.process.lines.some((line) => /new=down|(INFO|WARN).*watched/.test(line)), false);
  });
});

describe('verdicts that wait', { concurrency: true }, () => {
  scene('fail_back and flapping: a server that comes and goes is left alone until it is quiet', async (s) => {
    const [steady, shaky] = await Promise.all([backend(s, 200), backend(s, 200)]);
    const check = { ...SOON, interval: '100ms', timeout: '100ms', type: 'http', rise: 1, fall: 1, fail_back: '300ms', flap: { changes: 3, window: '20s', quiet: '1s' } };
    const gateway = await s.gateway(onePool({ check, servers: servers([{ ...steady, name: 'steady' }, { ...shaky, name: 'shaky' }]) }));
    await verdicts(gateway, { steady: 'up', shaky: 'up' });
    const flip = async (status, state) => {
      const mark = gateway.process.mark();
      shaky.answer(status);
      await gateway.process.line(new RegExp(`server changed.*server=p/shaky.*new=${state}`), 8000, mark);
      return Date.now();
    };
    await flip(500, 'down');
    const well = Date.now();
    assert.ok((await flip(200, 'up')) - well >= 300, 'fail_back');
    const mark = gateway.process.mark();
    await flip(500, 'down'); // with the first answer, the third change
    const quiet = Date.now();
    const back = flip(200, 'up');
    await gateway.process.line(/has to wait server=p\/shaky state=down cause=flapping/, 8000, mark);
    assert.equal((await standings(gateway)).shaky.held_by, 'flapping');
    assert.ok((await back) - quiet >= 1000, 'quiet');
    assert.equal((await standings(gateway)).steady.state, 'up');
  });

  scene('a server that is slow is degraded, not down', async (s) => {
    const region = await s.region({ knobs: { delay: '150ms' } });
    const check = { ...SOON, interval: '300ms', timeout: '300ms', type: 'http', path: '/health', degraded_over: '100ms' };
    const gateway = await s.gateway(onePool({ check, servers: servers([region]) }));
    const now = (await verdicts(gateway, { region: 'up' })).region;
    assert.deepEqual([now.degraded, now.degraded_by_latency], [true, true]);
    assert.equal(await metric(gateway, 'server_degraded', { server: 'region' }), 1);
    assert.ok(now.latency_mean_us >= 150000 && now.latency_p95_us >= 150000);
    const health = (await gateway.health()).json;
    assert.equal(health.status, 'degraded');
    assert.match(JSON.stringify(health.reasons), /slow/);
  });
});

describe('canaries', { concurrency: true }, () => {
  const quick = { ...SOON, type: 'tcp', fall: 1 };

  scene('when canaries do not answer either it is us: the verdicts stay, and health says so', async (s) => {
    const [a, b] = await Promise.all([s.region({ name: 'a' }), s.region({ name: 'b' })]);
    const canary = await s.region({ name: 'canary' });
    const canaries = { addresses: [canary.url.replace(/.*\//, ''), `127.0.0.1:${await s.freePort()}`] };
    const gateway = await s.gateway(onePool({ check: quick, servers: servers([a, b]) }, { canaries }));
    await verdicts(gateway, { a: 'up', b: 'up' });
    const mark = gateway.process.mark();
    await Promise.all([canary, a, b].map((each) => each.kill()));
    await gateway.process.line(/neither servers nor canaries answer/, 8000, mark);
    const health = (await gateway.health()).json;
    assert.equal(health.status, 'degraded');
    assert.match(JSON.stringify(health.reasons), /this gateway is cut off/);
    const failures = async () => metric(gateway, 'probe_failures_total');
    const seen = await failures();
    await waitFor('more failures', async () => (await failures()) >= seen + 4);
    const now = await standings(gateway);
    assert.deepEqual([now.a.state, now.b.state], ['up', 'up']);
    assert.match(now.a.cause, /refused/);

    const back = gateway.process.mark();
    await s.region({ name: 'canary', port: Number(new URL(canary.url).port) }); // we see again: then they are down indeed
    await gateway.process.line(/not cut off any more/, 8000, back);
    await verdicts(gateway, { a: 'down', b: 'down' });
  });

  scene('when one answers it is the servers', async (s) => {
    const [a, b] = await Promise.all([s.region({ name: 'a' }), s.region({ name: 'b' })]);
    const canary = await s.region({ name: 'canary' });
    const canaries = { addresses: [`127.0.0.1:${await s.freePort()}`, canary.url.replace(/.*\//, '')] };
    const gateway = await s.gateway(onePool({ check: quick, servers: servers([a, b]) }, { canaries }));
    await verdicts(gateway, { a: 'up', b: 'up' });
    const mark = gateway.process.mark();
    await Promise.all([a, b].map((each) => each.kill()));
    await verdicts(gateway, { a: 'down', b: 'down' });
    assert.equal(gateway.process.lines.slice(mark).some((line) => /cut off/.test(line)), false);
  });
});
