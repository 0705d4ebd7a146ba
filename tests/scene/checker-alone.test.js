// The checker that stands alone: its command line, its files, its signals, and what it sees.
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { describe } = require('node:test');
const { Checker, Redis, run, scene, waitFor } = require('./lib');

const SOON = { type: 'http', interval: '200ms', timeout: '200ms', jitter: '0%', rise: 1 };
const target = ({ port }, check = {}) => ({ check: { ...SOON, url: `http://127.0.0.1:${port}/health`, ...check } });
const quorum = (redis) => ({ redis: { url: redis.url }, lifetime: '2s', interval: '200ms' });

// What it says in Redis: its view as text.
async function view(redis) {
  const [, text] = await redis.command('HGETALL', '{tidegate:tidegate}:views');
  return text ?? '';
}

describe('tidegate-checker by hand', { concurrency: 2 }, () => {
  scene('says what it wants, and whether a file is good', async (s) => {
    const folder = s.temp();
    const write = (name, text) => {
      fs.writeFileSync(path.join(folder, name), text);
      return path.join(folder, name);
    };
    const good = write('good.yaml', 'targets: { one: { check: { type: tcp, url: "tcp://127.0.0.1:1" } } }\nquorum: { redis: { url: "redis://127.0.0.1:1" } }\n');
    const bad = write('bad.yaml', 'targets: { one: { chek: { } } }\n');
    const idle = write('idle.yaml', 'dns: { zone: z.test, nameservers: [ ns.example.net ], listen: [ "127.0.0.1:5353" ], records: [ { name: www, a: [ 192.0.2.1 ] } ] }\n');
    const stranger = write('stranger.yaml', `user: nobody-has-this-name\n${fs.readFileSync(good)}`);

    const by = async (...args) => run('tidegate-checker', args);
    assert.deepEqual(await by('-c', good, '-t'), { code: 0, signal: null, stdout: `${good}: good\n`, stderr: '' });
    for (const [file, why] of [[bad, /targets\.one\.chek: unknown key/], [idle, /nothing to check/], [stranger, /user: .*does not exist/], [`${good}.none`, /none/]]) {
      for (const args of [['-t', '-c', file], ['-c', file]]) {
        const { code, stderr } = await by(...args);
        assert.equal(code, 78, stderr);
        assert.match(stderr, why);
      }
    }
    for (const args of [['-t'], ['-c'], ['-x'], ['-c', good, 'more']]) assert.equal((await by(...args)).code, 64);
    assert.match((await by('-h')).stdout, /-c, --config FILE/);
    for (const option of ['-v', '-V']) assert.match((await by(option)).stdout, /^tidegate-checker \d+\.\d+/);
    const { code, stderr } = await by();
    assert.equal(code, 71);
    assert.match(stderr, /started by tidegate.*\n.*-c FILE/);
  });

  scene('checks, remembers over a restart, and leaves without a trace', async (s) => {
    const [redis, a] = await Promise.all([Redis.start(s), s.region({ name: 'a' })]);
    const state_dir = path.join(s.temp(), 'state');
    const config = { state_dir, targets: { a: target(a) }, quorum: quorum(redis) };
    const first = await Checker.start(s, config, { name: 'watcher' });
    await first.process.line(/server changed.*server=targets\/a old=unknown new=up/);
    await waitFor('its view', async () => /^\d+ 2000 view 1 checker reaching 0 1\nnode watcher\n[^]*\nup 1 \d+ targets\/a\n/.test(await view(redis)));
    await first.process.stop('SIGINT');
    assert.equal(first.process.code, 0);
    assert.equal(await view(redis), '');
    assert.match(fs.readFileSync(path.join(state_dir, 'verdicts'), 'utf8'), /targets\/a/);

    await a.kill();
    const second = await Checker.start(s, config, { name: 'watcher' });
    await second.process.line(/server changed.*server=targets\/a old=up new=down/); // it was up when it was seen last
  });

  scene('takes a changed file on HUP, refuses a bad one, and goes on', async (s) => {
    const [redis, a, b] = await Promise.all([Redis.start(s), s.region({ name: 'a' }), s.region({ name: 'b' })]);
    const config = (targets) => ({ targets, quorum: quorum(redis) });
    const c = await Checker.start(s, config({ a: target(a) }), { name: 'watcher' });
    await c.process.line(/targets\/a old=unknown new=up/);
    assert.match(await c.reload(config({ a: target(a), b: target(b) })), /configuration reloaded.*servers=2/);
    await c.process.line(/targets\/b old=unknown new=up/);
    const line = await c.reload({ ...config({ a: target(a) }), qorum: {} });
    assert.match(line, /refused, the old one stays.*qorum: unknown key/);
    await b.kill();
    await c.process.line(/targets\/b old=up new=down/);
    assert.match(await c.reload(config({ a: target(a) })), /configuration reloaded.*servers=1/);
    await waitFor('a view of one', async () => !(await view(redis)).includes('targets/b'));
    await a.kill();
    await c.process.line(/targets\/a old=up new=down/);
  });

  scene('opens its log again on USR1', async (s) => {
    const a = await s.region({ name: 'a' });
    const log = path.join(s.temp(), 'log');
    const c = await Checker.start(s, { log: { file: log }, targets: { a: target(a) }, pools: undefined, quorum: { redis: { url: 'redis://127.0.0.1:1' } } }, { ready: null });
    await waitFor('its log', () => fs.readFileSync(log, 'utf8').includes('new=up'));
    fs.renameSync(log, `${log}.1`);
    c.process.signalled('SIGUSR1');
    await waitFor('another file', () => fs.existsSync(log));
    await a.kill();
    await waitFor('what happens now, there', () => fs.readFileSync(log, 'utf8').includes('new=down'));
    assert.ok(!fs.readFileSync(`${log}.1`, 'utf8').includes('new=down'));
  });

  scene('gives up being root for the user of its file', async (s) => {
    if (process.getuid() !== 0) return;
    const a = await s.region({ name: 'a' });
    const state_dir = path.join(s.temp(), 'state');
    const config = { user: 'nobody', state_dir, targets: { a: target(a) }, quorum: { redis: { url: 'redis://127.0.0.1:1' } } };
    const c = await Checker.start(s, config);
    const status = fs.readFileSync(`/proc/${c.process.pid}/status`, 'utf8');
    assert.match(status, /^Uid:\t([1-9]\d*)\t\1\t\1\t\1$/m);
    assert.match(status, /^Groups:\t *$/m);
    assert.match(status, /^NoNewPrivs:\t1$/m);
    await c.process.line(/targets\/a old=unknown new=up/);
    await c.process.stop('SIGTERM');
    assert.equal(c.process.code, 0);
    assert.ok(fs.existsSync(path.join(state_dir, 'verdicts')));
  });

  scene('checks the servers of pools as well, as a gateway with the same file would', async (s) => {
    const [redis, a] = await Promise.all([Redis.start(s), s.region({ name: 'a' })]);
    const config = {
      listen: [{ address: '127.0.0.1:1' }],
      pools: { p: { check: { ...SOON, path: '/health' }, servers: [{ name: 'a', url: a.url }] } },
      routes: [{ path: '/', pool: 'p' }],
      quorum: quorum(redis),
    };
    await Checker.start(s, config, { name: 'watcher' });
    await waitFor('its view', async () => /\nup 1 \d+ p\/a\n/.test(await view(redis)));
  });
});
