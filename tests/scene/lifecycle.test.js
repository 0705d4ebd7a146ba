// The life of the gateway's processes: crashes, signals, the service manager, and what the program says when it cannot start.
'use strict';

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { describe } = require('node:test');
const { Client, childrenOf, get, holders, isAlive, run, scene, uidOf, upgradeRequest, waitFor, within } = require('./lib');

const config = (region, more = {}) => ({
  workers: 2,
  pools: { p: { servers: [{ name: region.name, url: region.url }] } },
  routes: [{ path: '/', pool: 'p' }],
  ...more,
});

async function stage(s, more, options) {
  const region = await s.region({ name: 'us-a' });
  return { region, gateway: await s.gateway(config(region, more), options) };
}

const open = (s, gateway, count) => Promise.all(Array.from({ length: count }, () => Client.open(s, `${gateway.url}/echo`)));

async function assertEchoes(clients) {
  for (const answer of await Promise.all(clients.map((c) => c.ask('hello', 10000)))) assert.equal(answer, 'hello');
}

function allGone(pids, ms = 5000) {
  return waitFor('all processes to be gone', () => !pids.some(isAlive), ms);
}

describe('crashes', { concurrency: 3 }, () => {
  scene('a worker dies with its own connections only, and is started again, later each time', async (s) => {
    const { region, gateway } = await stage(s);
    const workers = await gateway.processes();
    const victim = workers['worker-1'].pid;
    const clients = await open(s, gateway, 60);
    const holder = holders(gateway.port, [workers['worker-0'].pid, victim]);
    const isHeldByVictim = (c) => holder.get(c.socket._socket.localPort) === victim;
    const [doomed, others] = [clients.filter(isHeldByVictim), clients.filter((c) => !isHeldByVictim(c))];
    assert.equal(holder.size, clients.length);
    assert.ok(doomed.length > 0 && others.length > 0, `${doomed.length} and ${others.length}`);

    process.kill(victim, 'SIGKILL');
    for (const c of doomed) assert.equal((await c.closing()).code, 1006);
    await assertEchoes(others);
    await gateway.process.line(new RegExp(`child ended child=worker-1 pid=${victim} status="signal KILL"`));
    await gateway.process.line(/child will be started again child=worker-1 next_start_ms=1000/);
    const metrics = await gateway.metrics();
    for (const gauge of ['ws_connections', 'client_connections', 'server_connections']) assert.equal(metrics.sum(gauge), others.length, gauge);
    assert.equal(metrics.sum('ws_opened_total'), clients.length);
    await waitFor('the server to have lost them, too', async () => (await region.stats()).open === others.length);

    const late = await open(s, gateway, 20); // some of them wait for the new worker
    await assertEchoes([...others, ...late]);
    const back = (await gateway.processes())['worker-1'];
    assert.notEqual(back.pid, victim);
    assert.equal(back.restarts, 1);
    assert.equal((await gateway.metrics()).sum('process_restarts_total', { role: 'worker', index: 1 }), 1);
    process.kill(back.pid, 'SIGKILL');
    await gateway.process.line(/child will be started again child=worker-1 next_start_ms=2000/);
    assert.equal((await gateway.processes())['worker-0'].pid, workers['worker-0'].pid);
  });

  scene('who hangs is killed and started again, and no one else', async (s) => {
    const { gateway } = await stage(s);
    const before = await gateway.processes();
    const hung = ['worker-1', 'checker', 'admin'];
    for (const name of hung) process.kill(before[name].pid, 'SIGSTOP');
    for (const name of hung) await gateway.process.line(new RegExp(`child killed child=${name} pid=${before[name].pid} cause="does not answer"`), 20000);
    await gateway.ready();
    const after = await waitFor('all to be back', async () => {
      const now = await gateway.processes();
      return hung.every((name) => now[name]?.state === 'ready' && now[name].pid !== before[name].pid) && now;
    });
    assert.equal(after['worker-0'].pid, before['worker-0'].pid);
    await assertEchoes(await open(s, gateway, 20)); // some of them at the new worker
  });

  scene('checker and admin die and come back; no client notices, and what was known is still known', async (s) => {
    const region = await s.region({ name: 'us-a' });
    const dead = await s.freePort();
    const check = { interval: '100ms', timeout: '100ms' };
    const servers = [{ name: 'us-a', url: region.url }, { name: 'dead', url: `ws://127.0.0.1:${dead}` }];
    const gateway = await s.gateway({ ...config(region), pools: { p: { check, servers } } });
    const states = async () => Object.fromEntries((await gateway.status()).pools[0].servers.map((each) => [each.name, each.state]));
    const known = { 'us-a': 'up', dead: 'down' };
    await waitFor('the verdicts', async () => JSON.stringify(await states()) === JSON.stringify(known));
    const clients = await open(s, gateway, 10);
    const before = await gateway.processes();
    for (const name of ['checker', 'admin']) process.kill(before[name].pid, 'SIGKILL');
    await gateway.process.line(/child ended child=checker/);
    await gateway.process.line(/child ended child=admin/);
    await assertEchoes(clients);
    assert.equal(JSON.parse((await gateway.ctl('--json', 'status')).stdout).pools[0].servers[1].state, 'down'); // the supervisor knows by itself
    await gateway.ready();
    const after = await waitFor('both to be back', async () => {
      const now = await gateway.processes();
      return ['checker', 'admin'].every((name) => now[name]?.state === 'ready' && now[name].pid !== before[name].pid) && now;
    });
    assert.deepEqual(await states(), known);
    for (const name of ['worker-0', 'worker-1']) assert.equal(after[name].pid, before[name].pid);
    const probes = (await gateway.metrics()).sum('probes_total');
    await waitFor('probes to go on', async () => (await gateway.metrics()).sum('probes_total') > probes);
    await assertEchoes(clients);
  });

  scene('without its supervisor nothing of the gateway stays; clients are told 1001', async (s) => {
    const { region, gateway } = await stage(s, process.getuid() === 0 ? { user: 'nobody' } : {}); // the harder case
    const clients = await open(s, gateway, 20);
    const children = childrenOf(gateway.pid);
    assert.equal(children.length, 4);
    await gateway.process.kill();
    for (const c of clients) assert.equal((await c.closing()).code, 1001);
    await allGone(children);
    await waitFor('the server to be left', async () => (await region.stats()).open === 0);
  });
});

describe('signals', { concurrency: 3 }, () => {
  scene('TERM: clients are told 1001, and all is over in seconds, whoever does not answer', async (s) => {
    const { region, gateway } = await stage(s);
    const clients = await open(s, gateway, 40);
    const deaf = await s.connect(gateway.port);
    deaf.write(upgradeRequest({ path: '/echo' }));
    await deaf.head();
    deaf.pause();
    await s.connect(gateway.port); // has not said a word
    const pids = [gateway.pid, ...childrenOf(gateway.pid)];
    gateway.process.signalled('SIGTERM');
    for (const c of clients) assert.deepEqual(await c.closing(), { code: 1001, reason: 'gateway going away' });
    assert.equal(await within(8000, 'the gateway to end', gateway.process.exited), 'exit 0');
    await allGone(pids);
    await assert.rejects(get(gateway.port, '/'), /ECONNREFUSED/);
    assert.ok(!fs.existsSync(gateway.control), 'the control socket is gone');
    await waitFor('the server to be left', async () => (await region.stats()).open === 0);
  });

  scene('QUIT: clients are sent away one after the other over the drain time', async (s) => {
    const { gateway } = await stage(s, { drain: { time: '3s' } });
    const clients = await open(s, gateway, 60);
    const children = childrenOf(gateway.pid);
    const start = Date.now();
    gateway.process.signalled('SIGQUIT');
    await gateway.process.line(/draining within_ms=3000/);
    await waitFor('new clients to be refused', () => get(gateway.port, '/').then(() => false, (error) => error.code === 'ECONNREFUSED'));
    const times = await Promise.all(clients.map(async (c) => {
      assert.equal((await c.closing(8000)).code, 1001);
      return Date.now() - start;
    }));
    const early = times.filter((ms) => ms < 500).length;
    const firstHalf = times.filter((ms) => ms < 1500).length;
    assert.ok(early < clients.length / 2, `${early} of ${clients.length} in the first half second`);
    assert.ok(firstHalf > clients.length / 6 && firstHalf < (clients.length * 5) / 6, `${firstHalf} of ${clients.length} in the first half`);
    assert.equal(await within(8000, 'the gateway to end', gateway.process.exited), 'exit 0');
    await allGone(children);
    await gateway.process.line(/websocket closed .*by=drain phase=open code=1001/);
  });

  scene('QUIT and then TERM: out of patience', async (s) => {
    const { gateway } = await stage(s, { drain: { time: '1h' } });
    const clients = await open(s, gateway, 20);
    gateway.process.signalled('SIGQUIT');
    await gateway.process.line(/draining/);
    assert.equal(await clients[0].ask('still here'), 'still here');
    gateway.process.signalled('SIGTERM');
    for (const c of clients) assert.equal((await c.closing()).code, 1001);
    assert.equal(await within(8000, 'the gateway to end', gateway.process.exited), 'exit 0');
  });

  scene('USR1: every process writes to the new log file after a rotation', async (s) => {
    const file = path.join(s.temp(), 'gateway.log');
    const { gateway } = await stage(s, { log: { file } });
    const has = (name, pattern) => waitFor(`${pattern} in ${name}`, () => pattern.test(fs.readFileSync(name, 'utf8')));
    await has(file, /supervisor ready workers=2/);
    const [c] = await open(s, gateway, 1);
    fs.renameSync(file, `${file}.1`);
    gateway.process.signalled('SIGUSR1');
    await has(file, /supervisor log opened again/);
    const old = fs.readFileSync(`${file}.1`, 'utf8');
    await c.close();
    await has(file, /worker-\d websocket closed/);
    assert.equal((await gateway.ctl('reload')).code, 0);
    await has(file, /admin configuration taken/);
    await has(file, /checker configuration taken/);
    await has(file, /supervisor configuration reloaded/);
    assert.equal(fs.readFileSync(`${file}.1`, 'utf8'), old);
  });
});

// A service manager's end of sd_notify(3): prints each datagram on one line. node has no unix datagram sockets, perl is everywhere.
const MANAGER = `
use Socket; $| = 1;
my $s; socket($s, AF_UNIX, SOCK_DGRAM, 0) && bind($s, pack_sockaddr_un($ARGV[0])) or die "$!";
print "listening\\n";
while (defined recv($s, my $m, 4096, 0)) { $m =~ s/\\n/ /g; print "$m\\n" }`;

describe('the system around it', { concurrency: 3 }, () => {
  scene('a service manager hears of readiness, reloads, the watchdog and the end', async (s) => {
    const socket = path.join(s.temp(), 'notify.sock');
    const manager = await s.start({ name: 'manager', command: 'perl', args: ['-e', MANAGER, socket], ready: /^listening$/ });
    s.atEnd(() => manager.kill());
    const region = await s.region({ name: 'us-a' });
    const gateway = await s.gateway(config(region), { env: { NOTIFY_SOCKET: socket, WATCHDOG_USEC: '200000' } });
    await manager.line(/^READY=1$/);
    await manager.line(/^STATUS=running$/);
    await manager.line(/^WATCHDOG=1$/);
    const mark = manager.mark();
    const before = process.hrtime.bigint() / 1000n;
    gateway.process.signalled('SIGHUP');
    const [, usec] = await manager.line(/^RELOADING=1 MONOTONIC_USEC=(\d+)$/);
    assert.ok(BigInt(usec) >= before && BigInt(usec) <= process.hrtime.bigint() / 1000n, usec);
    await manager.line(/^READY=1$/, 5000, mark);
    assert.ok(manager.lines.lastIndexOf('READY=1') > manager.lines.findIndex((line) => line.startsWith('RELOADING')));
    for (const pid of childrenOf(gateway.pid)) assert.ok(!fs.readFileSync(`/proc/${pid}/environ`, 'utf8').includes('NOTIFY_SOCKET'));
    gateway.process.signalled('SIGTERM');
    await manager.line(/^STOPPING=1$/);
    assert.equal(await gateway.process.exited, 'exit 0');
  });

  scene('started as root, everybody but the supervisor is somebody else', { skip: process.getuid() !== 0 && 'not root' }, async (s) => {
    const nobody = Number(execFileSync('id', ['-u', 'nobody']));
    const state = path.join(s.temp(), 'state');
    const { region, gateway } = await stage(s, { user: 'nobody', state_dir: state });
    assert.equal(uidOf(gateway.pid), 0);
    const children = childrenOf(gateway.pid);
    assert.equal(children.length, 4);
    for (const pid of children) assert.equal(uidOf(pid), nobody);
    assert.equal(fs.statSync(state).uid, nobody);
    const clients = await open(s, gateway, 10);
    await gateway.reload(config(region, { user: 'nobody', state_dir: state, workers: 3 }));
    await waitFor('a third worker, of the same user', () => childrenOf(gateway.pid).length === 5 && childrenOf(gateway.pid).every((pid) => uidOf(pid) === nobody));
    await assertEchoes(clients);
    await gateway.stop();
    assert.equal(gateway.process.code, 0);
    assert.ok(fs.readdirSync(state).length > 0, 'verdicts were kept');
  });

  scene('a second gateway on the same port, or under the same control socket, does not start', async (s) => {
    const { region, gateway } = await stage(s);
    const [c] = await open(s, gateway, 1);
    const second = async (more) => {
      const other = await s.gateway(config(region, more), { name: 'second', isReady: false });
      return [await within(5000, 'the second one to give up', other.process.exited), other.process.log()];
    };
    const [portEnd, portLog] = await second({ listen: [{ address: `127.0.0.1:${gateway.port}` }] });
    assert.equal(portEnd, 'exit 71');
    assert.ok(portLog.includes(`cannot listen on 127.0.0.1:${gateway.port}: somebody else listens there`), portLog);
    const [controlEnd, controlLog] = await second({ control: { path: gateway.control } });
    assert.equal(controlEnd, 'exit 71');
    assert.match(controlLog, /another gateway answers on the control socket/);
    await assertEchoes([c, ...(await open(s, gateway, 10))]);
    assert.equal((await gateway.ctl('status')).code, 0);
  });

  scene('started without standard descriptors it works all the same', async (s) => {
    const { gateway } = await stage(s, {}, { shell: 'exec "$0" "$@" <&- >&- 2>&-' });
    await assertEchoes(await open(s, gateway, 5));
  });

  scene('a log in JSON is that from its first line to its last', async (s) => {
    const { gateway } = await stage(s, { log: { format: 'json' } });
    await gateway.stop();
    const messages = gateway.process.lines.map((line) => JSON.parse(line).msg);
    assert.equal(messages[0], 'listening');
    assert.equal(messages.at(-1), 'stopped');
  });

  scene('the command line: what it prints, and exit codes for scripts', async (s) => {
    const file = path.join(s.temp(), 'tidegate.yaml');
    const tidegate = (...args) => run('tidegate', args);
    fs.writeFileSync(file, `
listen: [ { address: "127.0.0.1:1" } ]
workers: many
pools:
  p: { balanse: hash, servers: [ { name: a, url: "http//x" } ] }
routes:
  - { path: /, pool: nobody }
`);
    const bad = await tidegate('-t', '-c', file);
    assert.equal(bad.code, 78);
    const places = bad.stderr.trim().split('\n').map((line) => line.match(/^(\S+):(\d+):\d+: (\S+): ./)?.slice(1));
    assert.deepEqual(places, [[file, '3', 'workers'], [file, '5', 'pools.p.balanse'], [file, '5', 'pools.p.servers[0].url'], [file, '7', 'routes[0].pool']]);
    const refused = await tidegate('-c', file);
    assert.equal(refused.code, 78);
    assert.ok(refused.stderr.includes(bad.stderr.trim()), 'a start says the same');
    assert.equal((await tidegate('-c', `${file}.absent`)).code, 78);
    assert.equal((await tidegate('-t', '-c', `${file}.absent`)).code, 78);
    for (const wrong of [['--nonsense'], ['stray'], ['-c']]) assert.equal((await tidegate(...wrong)).code, 64, wrong.join());
    for (const right of [['-h'], ['-v'], ['-V'], ['--reference']]) assert.equal((await tidegate(...right)).code, 0, right.join());
  });

  scene('-T prints the configuration as it is meant, without its secrets', async (s) => {
    const folder = s.temp();
    const [cert, key] = ['cert.pem', 'key.pem'].map((name) => path.join(folder, name));
    execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-subj', '/CN=x', '-keyout', key, '-out', cert], { stdio: 'ignore' });
    const file = path.join(folder, 'tidegate.yaml');
    fs.writeFileSync(file, `
listen: [ { address: "127.0.0.1:1" } ]
pools: { p: { servers: [ { name: a, url: "wss://localhost:2", tls: { cert: "${cert}", key: "\${KEY}" } } ] } }
routes: [ { path: /, pool: p } ]
`);
    const secret = fs.readFileSync(key, 'utf8');
    const dump = await run('tidegate', ['-T', '-c', file], { env: { KEY: secret } });
    assert.equal(dump.code, 0, dump.stderr);
    assert.match(dump.stdout, /key: "\*\*\*"/);
    for (const line of secret.split('\n').filter((each) => each && !each.startsWith('---'))) assert.ok(!dump.stdout.includes(line));
    assert.match(dump.stdout, /failover_timeout: 5s/); // defaults are shown
    assert.equal((await run('tidegate', ['-t', '-c', file], { env: { KEY: secret } })).code, 0);
  });
});
