// The load tester as its users meet it: pointed at a gateway with two example regions, in short runs whose counts are known beforehand.
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { describe } = require('node:test');
const { Authority, OPCODE, frame, run, scene, upgradeRequest, waitFor } = require('./lib');

const CHECK = { type: 'http', path: '/health', interval: '250ms', timeout: '200ms' };
const FRESH = { policy: 'stale-while-revalidate', fresh: '1m' };

const web = ({ url }) => url.replace('ws:', 'http:');

// A gateway with the routes that the scenarios need: sessions, and dashboard queries that are kept.
async function stage(s, { listen } = {}) {
  const redis = await s.redis();
  const [a, b] = await Promise.all(['a', 'b'].map((name) => s.region({ name, redis: redis.url })));
  const gateway = await s.gateway((g) => ({
    ...(listen ? { listen: [{ address: `127.0.0.1:${g.port}`, ...listen }] } : {}),
    pools: { p: { check: CHECK, servers: [{ name: 'a', url: web(a) }, { name: 'b', url: web(b), tier: 'backup' }] } },
    routes: [
      { path: '/socket/', pool: 'p', websocket: { protocol: 'phoenix' } },
      { path: '/rest/', pool: 'p', cache: FRESH },
      { path: '/', pool: 'p' },
    ],
    log: { level: 'info', access: false },
  }));
  return { a, b, gateway };
}

// The backend of tidegate-bench, on a port of its own.
async function backend(s) {
  const port = await s.freePort();
  await s.start({ name: 'serve', command: path.join(process.env.TIDEGATE_BUILD, 'tidegate-bench'), args: ['--serve', `127.0.0.1:${port}`] });
  await waitFor('the backend to listen', async () => (await s.connect(port)).destroy() ?? true);
  return port;
}

// One run to its end: {code, stderr, report (with --json), stdout}.
async function bench(...args) {
  const ended = await run('tidegate-bench', args.map(String), { ms: 60000 });
  return { ...ended, report: args.includes('--json') && ended.stdout ? JSON.parse(ended.stdout) : null };
}

const sums = (report) => Object.fromEntries(['opened', 'failed', 'dropped', 'errors', 'lost', 'twice', 'unsent'].map((key) => [key, report[key]]));
const CLEAN = { failed: 0, dropped: 0, errors: 0, lost: 0, twice: 0, unsent: 0 };

describe('tidegate-bench', { concurrency: 2 }, () => {
  scene('echoes at a rate: as many as asked for, and all are answered', async (s) => {
    const { gateway } = await stage(s);
    const { code, report } = await bench(`${gateway.url}/echo`, '--json', '--connections', 20, '--rate', 100, '--seconds', 1.5, '--size', 200);
    assert.equal(code, 0);
    assert.deepEqual({ ...sums(report), unsent: 0 }, { ...CLEAN, opened: 20 });
    assert.ok(report.measured_seconds >= 1.5);
    const due = 100 * report.measured_seconds;
    assert.ok(Math.abs(report.sent + report.unsent - due) <= 3, `${report.sent} sent, ${report.unsent} not, ${due} due`);
    assert.equal(report.answered, report.sent);
    assert.ok(report.bytes_sent > 200 * report.sent && report.bytes_sent < 400 * report.sent + 20 * 400);
    const rising = ['p50_ms', 'p75_ms', 'p90_ms', 'p95_ms', 'p99_ms', 'p999_ms', 'max_ms'].map((key) => report[key]);
    assert.deepEqual(rising, [...rising].sort((x, y) => x - y));
  });

  scene('broadcasts: everybody in the room hears each once', async (s) => {
    const { gateway } = await stage(s);
    const args = ['--broadcast', '--connections', 12, '--channels', 2, '--members', 4, '--rate', 60, '--seconds', 2, '--warm-up', 0.5, '--json'];
    const others = await bench(gateway.url, ...args);
    assert.deepEqual(sums(others.report), { ...CLEAN, opened: 12 });
    assert.equal(others.report.expected, 3 * others.report.sent);
    assert.equal(others.report.deliveries, others.report.expected);
    const { report } = await bench(gateway.url, '--self', ...args);
    assert.equal(report.deliveries, 4 * report.sent);
    assert.equal(report.lost, 0);
  });

  scene('thresholds decide the exit status', async (s) => {
    const { gateway } = await stage(s);
    const args = [`${gateway.url}/echo`, '--connections', 5, '--rate', 50, '--seconds', 0.5];
    const good = await bench(...args, '--fail-if', 'connect_success < 100 %', '--fail-if', 'p99_ms > 60000');
    assert.equal(good.code, 0);
    assert.match(good.stdout, /good +fail if connect_success < 100 %: 100\.00 %/);
    const bad = await bench(...args, '--fail-if', 'opened == 5', '--json');
    assert.equal(bad.code, 1);
    assert.deepEqual(bad.report.thresholds, [{ fail_if: 'opened == 5', value: 5, failed: true }]);
  });

  scene('mistakes are one sentence', async (s) => {
    const [port, listening] = [await s.freePort(), await s.server(() => {})];
    const wrong = [
      [2, /no URL to load/, []],
      [2, /not a ws:\/\/, wss:\/\/, http:\/\/ or https:\/\/ URL: localhost/, ['localhost']],
      [2, /unknown option --conections/, ['ws://localhost/', '--conections', '5']],
      [2, /--connections takes a number from 1 to 200000, not "many"/, ['ws://localhost/', '--connections', 'many']],
      [2, /no figure of the report has that name/, ['ws://localhost/', '--fail-if', 'speed > 3']],
      [3, new RegExp(`cannot connect to 127.0.0.1 port ${port}: Connection refused`), [`ws://127.0.0.1:${port}/`]],
      [3, /cannot write \/nowhere\/report: No such file/, [`ws://127.0.0.1:${listening}/`, '--report', '/nowhere/report']],
      [3, /cannot look up gateway\.invalid/, ['ws://gateway.invalid/']],
    ];
    for (const [status, words, args] of wrong) {
      const { code, stdout, stderr } = await bench(...args);
      assert.equal(code, status, `${args}: ${stderr}`);
      assert.match(stderr, words);
      assert.equal(stdout, '');
    }
  });

  scene('a path that is no WebSocket cannot be loaded, and the answer says why', async (s) => {
    const { gateway } = await stage(s);
    const { code, stderr } = await bench(`${gateway.url}/health`, '--connections', 3, '--seconds', 0.5);
    assert.equal(code, 3);
    assert.match(stderr, /not one connection could be opened: upgrade: status \d\d\d/);
  });

  scene('the certificate is checked', async (s) => {
    const authority = await Authority.create(s);
    const { gateway } = await stage(s, { listen: { tls: { certificates: [await authority.issue('gateway', ['IP:127.0.0.1'])] } } });
    const url = `${gateway.url.replace('ws:', 'wss:')}/echo`;
    const args = ['--connections', 3, '--messages', 2];
    const stranger = await bench(url, ...args);
    assert.equal(stranger.code, 3);
    assert.match(stranger.stderr, /tls: .*(self.signed|unable to get local issuer)/);
    assert.equal((await bench(url, ...args, '--ca', authority.file)).code, 0);
    assert.equal((await bench(url, ...args, '--ca', authority.file, '--size', 300000)).code, 0); // many records
    assert.equal((await bench(url, ...args, '--insecure')).code, 0);
    const misnamed = await bench(url.replace('127.0.0.1', 'localhost'), ...args, '--ca', authority.file);
    assert.equal(misnamed.code, 3);
    assert.match(misnamed.stderr, /tls: hostname mismatch/);
  });

  scene('TLS sessions are resumed by every client from its second connection on', async (s) => {
    const authority = await Authority.create(s);
    const { gateway } = await stage(s, { listen: { tls: { certificates: [await authority.issue('gateway', ['IP:127.0.0.1'])] } } });
    const args = [`${gateway.url.replace('ws:', 'wss:')}/echo`, '--insecure', '--json', '--mode', 'churn', '--connections', 8, '--seconds', 1];
    const { code, report } = await bench(...args, '--resume');
    assert.equal(code, 0);
    assert.ok(report.cycles > 16, `${report.cycles} connections were opened, used and closed`);
    assert.ok(report.resumed >= report.cycles - 8, `${report.resumed} of ${report.cycles} were resumed`);
    assert.equal((await bench(...args)).report.resumed, 0);
  });

  scene('a line each second, and a report in a file', async (s) => {
    const { gateway } = await stage(s);
    const file = path.join(s.temp(), 'report.json');
    const { code, stdout, stderr } = await bench(`${gateway.url}/echo`, '--connections', 5, '--rate', 50, '--seconds', 2.5, '--progress', '--report', file);
    assert.equal(code, 0);
    const lines = stderr.trim().split('\n');
    assert.ok(lines.length >= 2, stderr);
    for (const line of lines) assert.match(line, /^ *\d+ s \w+ +5 open, \d+ sent\/s, \d+ received\/s, 0 errors, p50 [\d.]+ ms, p99 [\d.]+ ms$/);
    assert.match(stdout, /^messages +1\d\d sent/m);
    assert.equal(JSON.parse(fs.readFileSync(file, 'utf8')).opened, 5);
  });

  scene('queries beside it: how many a cache answers', async (s) => {
    const { gateway } = await stage(s);
    const { code, stdout, report } = await bench(
      gateway.url, '--scenario', 'fan-out', '--connections', 50, '--ramp', '0', '--warm-up', 0, '--seconds', 2, '--query-rate', 50, '--queries', '/rest/v1/items', '--json',
    );
    assert.equal(code, 0, stdout);
    assert.deepEqual(sums(report), { ...CLEAN, opened: 50 });
    assert.equal(report.deliveries, 25 * report.sent);
    assert.ok(report.queries >= 80 && report.queries_failed === 0, `${report.queries} queries`);
    // all but those that met before the first was kept
    assert.ok(report.cache_hits > 0.7 && report.cache_hits < 1, `${report.cache_hits} hits`);
    assert.equal(report.theirs.cache_hits, '94.7 %');
  });

  scene('scenarios: theirs and ours side by side', async (s) => {
    const { gateway } = await stage(s);
    const { stdout: list } = await bench('--list-scenarios');
    const names = [...list.matchAll(/^(\S+)/gm)].map(([, name]) => name);
    assert.deepEqual(names, ['subscriptions', 'updates', 'fan-out', 'failover']);
    const { code, stdout } = await bench(gateway.url, '--scenario', 'updates', '--connections', 30, '--ramp', '0', '--seconds', 2);
    assert.equal(code, 0, stdout);
    assert.match(stdout, /^ +theirs +ours$/m);
    assert.match(stdout, /^mean latency +127 ms +[\d.]+ ms$/m);
    assert.match(stdout, /^success +99\.2 % +100\.00 %$/m);
  });

  scene('failover: a region is killed under load, no connection is lost, and the silence is told', async (s) => {
    const { a, gateway } = await stage(s);
    const file = path.join(s.temp(), 'report.json');
    const p = await s.start({
      name: 'bench', command: path.join(process.env.TIDEGATE_BUILD, 'tidegate-bench'),
      args: [gateway.url, '--scenario', 'failover', '--connections', '20', '--members', '10', '--rate', '100', '--ramp', '0', '--seconds', '4', '--progress', '--report', file],
    });
    await p.line(/measuring +20 open/);
    await a.kill();
    await p.exited;
    const report = JSON.parse(fs.readFileSync(file, 'utf8'));
    assert.equal(p.code, 0);
    assert.equal(report.opened, 20);
    assert.equal(report.dropped, 0);
    assert.ok(report.longest_gap_ms > 0 && report.longest_gap_ms < 4000, `${report.longest_gap_ms} ms of silence`);
    assert.ok(report.deliveries > report.expected / 2);
    assert.equal(report.deliveries + report.lost, report.expected);
    assert.match(p.log(), /longest silence +5-10 s/);
  });

  scene('lost connections are counted, and opened again when that is asked for', async (s) => {
    const { a } = await stage(s);
    const start = (...more) => s.start({
      name: 'bench', command: path.join(process.env.TIDEGATE_BUILD, 'tidegate-bench'),
      args: [a.url, '--broadcast', '--connections', '10', '--rate', '50', '--seconds', '4', '--progress', '--json', ...more],
    });
    for (const [more, reopened] of [[['--reconnect'], 10], [[], 0]]) {
      const p = await start(...more);
      await p.line(/measuring +10 open/);
      await a.trouble('disconnect');
      await p.exited;
      const report = JSON.parse(p.lines.find((line) => line.startsWith('{')));
      assert.equal(report.dropped, 10);
      assert.equal(report.reopened, reopened);
      assert.equal(report.opened, 10 + reopened);
    }
  });

  scene('an interrupt prints what was found so far', async (s) => {
    const { gateway } = await stage(s);
    const p = await s.start({
      name: 'bench', command: path.join(process.env.TIDEGATE_BUILD, 'tidegate-bench'),
      args: [`${gateway.url}/echo`, '--connections', '5', '--rate', '50', '--seconds', '3600', '--progress'],
    });
    await p.line(/measuring/);
    p.signalled('SIGINT');
    await p.exited;
    assert.equal(p.code, 0);
    assert.match(p.log(), /interrupted: this is what was found so far/);
    assert.match(p.log(), /messages +\d+ sent/);
  });

  scene('HTTP: requests over kept connections, and errors by their status', async (s) => {
    const { gateway } = await stage(s);
    const url = web(gateway);
    const { report } = await bench(`${url}/rest/v1/items`, '--json', '--connections', 4, '--messages', 20);
    assert.deepEqual(sums(report), { ...CLEAN, opened: 4 });
    assert.equal(report.answered, 80);
    const missing = await bench(`${url}/nothing/here`, '--json', '--connections', 2, '--messages', 5);
    assert.equal(missing.report.errors_answer, 10);
    assert.equal(missing.report.answered, 0);
    assert.equal(missing.report.first_error, 'answer: status 404');
  });

  scene('a stall counts for everything that it kept waiting', async (s) => {
    const port = await s.freePort();
    const program = path.join(process.env.TIDEGATE_BUILD, 'tidegate-bench');
    const backend = await s.start({ name: 'serve', command: program, args: ['--serve', `127.0.0.1:${port}`] });
    await waitFor('the backend to listen', async () => (await s.connect(port)).destroy() ?? true);
    const p = await s.start({ name: 'bench', command: program, args: [`ws://127.0.0.1:${port}/`, '--connections', '2', '--rate', '100', '--seconds', '6', '--progress', '--json'] });
    await p.line(/measuring +2 open/);
    backend.signalled('SIGSTOP');
    await p.line(/ 0 received\/s/); // a whole second of it
    backend.signalled('SIGCONT');
    await p.exited;
    const report = JSON.parse(p.lines.find((line) => line.startsWith('{')));
    // one message of each connection waited for an answer, and some hundred for their turn
    assert.ok(report.max_ms > 900, `${report.max_ms} ms at most`);
    assert.ok(report.p90_ms > 200, `90 % within ${report.p90_ms} ms`);
    assert.equal(report.answered, report.sent);
    assert.ok(report.unsent < 10, `${report.unsent} of them have not had it`);
  });

  scene('its own backend: echo, Phoenix and HTTP', async (s) => {
    const port = await backend(s);
    const [ws, http] = ['ws', 'http'].map((scheme) => `${scheme}://127.0.0.1:${port}/`);
    const channels = ['--channels', 2];
    for (const what of [
      [ws], [ws, '--size', 1000], [ws, '--size', 100000], [ws, '--size', 1048576],
      [ws, ...channels], [ws, ...channels, '--size', 60000], [ws, ...channels, '--binary'], [http],
    ]) {
      const { report } = await bench(...what, '--json', '--connections', 3, '--messages', 7);
      assert.equal(report.answered, 21, what.join(' '));
      assert.equal(report.errors, 0);
    }
  });

  scene('its own backend: frames cut anywhere', async (s) => {
    const client = await s.connect(await backend(s));
    client.write(upgradeRequest());
    assert.equal((await client.head()).status, 101);
    // The beginning comes with a ping: when that is answered, it has been read, and lies there alone.
    const cuts = [1, 2, 3, 5, 6, 7, 8, 9, 13, 14, 15, 100, 65535, 65536, 70000, 131072];
    for (const size of [0, 1, 125, 126, 65535, 65536, 65537, 200000, 1048576])
      for (const cut of cuts) {
        const payload = Buffer.alloc(size, `${size} ${cut} `);
        const ping = frame({ opcode: OPCODE.ping, payload: `${cut}`, mask: true });
        const next = frame({ opcode: OPCODE.binary, payload, mask: true });
        client.write(Buffer.concat([ping, next.subarray(0, cut)]));
        const pong = await client.frame();
        assert.deepEqual([pong.opcode, pong.payload.toString()], [OPCODE.pong, `${cut}`]);
        client.write(next.subarray(cut));
        const echo = await client.frame();
        assert.ok(echo.opcode === OPCODE.binary && echo.payload.equals(payload), `${size} bytes cut at ${cut}`);
      }
    client.destroy();
  });
});
