// Partitions of the network: the gateway, two regions and a canary are hosts of their own, and the wires between them are cut.
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { describe } = require('node:test');
const { Authority, Namespace, onePool, scene, verdicts, waitFor, whyNoNetns } = require('./lib');

const skip = whyNoNetns();
const SOON = { interval: '300ms', timeout: '300ms', jitter: '0%' };
const PORT = 9000; // everybody has all ports to himself

// The gateway in `ns`, where its admin process is asked by a program in there.
async function gatewayIn(s, ns, config) {
  const gateway = await s.gateway(config, { shell: ns.shell, isReady: false });
  gateway.admin = async (what) => {
    const text = await ns.run('curl', '-s', '--noproxy', '*', '--max-time', '5', `http://127.0.0.1:${gateway.adminPort}${what}`);
    return /^[[{]/.test(text) ? JSON.parse(text) : text;
  };
  await waitFor('the gateway to be ready', async () => (await gateway.processes()).checker?.state === 'ready', 15000);
  return gateway;
}

function region(s, ns, name, address) {
  const command = path.join(process.env.TIDEGATE_BUILD, 'region');
  return ns.start({ name, command, args: ['--listen', `${address}:${PORT}`, '--name', name], ready: /^region ready/ });
}

// Gateway, regions a and b and the canary, wired up.
async function world(s) {
  const [gw, a, b, canary] = await Promise.all(['gw', 'a', 'b', 'canary'].map((name) => Namespace.create(s, name)));
  const wires = { a: await gw.wire(a, 1), b: await gw.wire(b, 2), canary: await gw.wire(canary, 3) };
  await Promise.all([region(s, a, 'a', wires.a.far), region(s, b, 'b', wires.b.far), region(s, canary, 'canary', wires.canary.far)]);
  return { gw, a, b, canary, wires };
}

const server = (name, wire, more = {}) => ({ name, url: `ws://${wire.far}:${PORT}`, ...more });

// Which region a client of the gateway gets to.
function whereTo(gw, gateway) {
  return gw.run('curl', '-s', '--noproxy', '*', '--max-time', '5', '-o', '/dev/null', '-w', '%header{x-region}', `http://127.0.0.1:${gateway.port}/health`);
}

describe('partition', { skip, concurrency: true }, () => {
  scene('a region behind a cut wire is down, clients go to the other, and come back', async (s) => {
    const { gw, wires } = await world(s);
    const check = { ...SOON, type: 'http', path: '/health' };
    const servers = [server('a', wires.a), server('b', wires.b, { tier: 'backup' })].map((each) => ({ ...each, url: each.url.replace('ws', 'http') }));
    const gateway = await gatewayIn(s, gw, onePool({ check, servers }, { canaries: { addresses: [`${wires.canary.far}:${PORT}`] } }));
    await verdicts(gateway, { a: 'up', b: 'up' });
    assert.equal(await whereTo(gw, gateway), 'a');
    for (const [cut, mend] of [['unplug', 'plug'], ['lose', 'find'], ['forbid', 'allow']]) {
      await wires.a[cut]();
      await verdicts(gateway, { a: 'down', b: 'up' });
      assert.equal(await whereTo(gw, gateway), 'b');
      await wires.a[mend]();
      await verdicts(gateway, { a: 'up', b: 'up' });
      assert.equal(await whereTo(gw, gateway), 'a');
    }
    assert.equal(gateway.process.lines.some((line) => /neither servers nor canaries/.test(line)), false);
  });

  scene('a gateway that is cut off from everything keeps its verdicts, says so, and goes on when it is back', async (s) => {
    const { gw, wires } = await world(s);
    const servers = [server('a', wires.a), server('b', wires.b)];
    const config = onePool({ check: { ...SOON, type: 'websocket', path: '/socket/websocket?vsn=2.0.0' }, servers }, { canaries: { addresses: [`${wires.canary.far}:${PORT}`], timeout: '200ms' } });
    const gateway = await gatewayIn(s, gw, config);
    await verdicts(gateway, { a: 'up', b: 'up' });
    const mark = gateway.process.mark();
    const all = Object.values(wires);
    await Promise.all(all.map((wire) => wire.lose()));
    await gateway.process.line(/neither servers nor canaries answer/, 8000, mark);
    const health = await gateway.admin('/health');
    assert.equal(health.status, 'degraded');
    assert.match(JSON.stringify(health.reasons), /this gateway is cut off/);
    const failures = async () => Number((await gateway.admin('/metrics')).match(/^tidegate_probe_failures_total (\d+)/m)[1]);
    const seen = await failures();
    await waitFor('more probes that fail', async () => (await failures()) >= seen + 6);
    await verdicts(gateway, { a: 'up', b: 'up' });

    await wires.b.find(); // only one is gone: that is known now
    await gateway.process.line(/not cut off any more/, 8000, mark); // of b's own answer: a probe begun before says no more
    await wires.canary.find();
    await verdicts(gateway, { a: 'down', b: 'up' });
    await wires.a.find();
    await verdicts(gateway, { a: 'up', b: 'up' });
    const changes = gateway.process.lines.slice(mark).filter((line) => /server changed.*old=(up|down)/.test(line));
    assert.deepEqual(changes.map((line) => line.match(/server=p\/(\S+) old=(\w+) new=(\w+)/).slice(1).join(' ')), ['a up down', 'a down up']);
  });

  scene('every kind of probe finds a partition, and the end of it', async (s) => {
    const [gw, a] = await Promise.all(['gw', 'a'].map((name) => Namespace.create(s, name)));
    const wire = await gw.wire(a, 1);
    const ca = await Authority.create(s);
    const { cert, key } = await ca.issue('web', [`IP:${wire.far}`]);
    const folder = s.temp();
    const knot = path.join(folder, 'knot.conf');
    fs.writeFileSync(path.join(folder, 'health'), 'well');
    fs.writeFileSync(path.join(folder, 'zone'), '@ 60 SOA ns.example.test. who.example.test. 1 60 60 60 60\n@ 60 NS ns\nns 60 A 192.0.2.1\n');
    fs.writeFileSync(knot, `server:\n  rundir: ${folder}\n  listen: ${wire.far}@53\n  udp-workers: 1\n  tcp-workers: 1\n  background-workers: 1\nlog:\n  - target: stderr\n    any: info\n` +
      `database:\n  storage: ${folder}\nzone:\n  - domain: example.test\n    file: ${folder}/zone\n    zonefile-load: whole\n    journal-content: none\n    zonefile-sync: -1\n`);
    await Promise.all([
      region(s, a, 'a', wire.far),
      a.start({ name: 'nghttpd', command: 'stdbuf', args: ['-oL', '/usr/sbin/nghttpd', '-v', '-a', wire.far, '-d', folder, '443', key, cert], ready: /listen/ }),
      a.start({ name: 'redis', command: 'redis-server', args: ['--port', 6379, '--bind', wire.far, '--protected-mode', 'no', '--save', '', '--dir', folder], ready: /Ready to accept/ }),
      a.start({ name: 'knot', command: '/usr/sbin/knotd', args: ['-c', knot], ready: /server started/ }),
    ]);
    const at = (scheme, port, check) => ({ url: `${scheme}://${wire.far}:${port}`, check: { ...check, ...SOON }, ...(scheme === 'https' ? { tls: { ca: ca.file } } : {}) });
    const all = {
      tcp: at('ws', PORT, { type: 'tcp' }),
      tls: at('https', 443, { type: 'tls' }),
      http: at('ws', PORT, { type: 'http', path: '/health' }),
      https: at('https', 443, { type: 'http', path: '/health' }),
      h2: at('https', 443, { type: 'http', http: '2', path: '/health' }),
      ping: at('ws', PORT, { type: 'websocket', path: '/socket/websocket?vsn=2.0.0' }),
      phoenix: at('ws', PORT, { type: 'websocket', speak: 'phoenix', path: '/socket/websocket?vsn=2.0.0' }),
      redis: at('ws', 6379, { type: 'redis' }),
      dns: at('ws', 53, { type: 'dns', dns: { name: 'ns.example.test' } }),
      command: at('ws', PORT, { type: 'command', command: ['/bin/sh', '-c', 'exec curl -sf -o /dev/null --noproxy "*" "http://$TIDEGATE_ADDRESS:$TIDEGATE_PORT/health"'] }),
    };
    const gateway = await gatewayIn(s, gw, onePool({ servers: Object.entries(all).map(([name, each]) => ({ name, ...each })) }));
    const every = (state) => Object.fromEntries(Object.keys(all).map((name) => [name, state]));
    await verdicts(gateway, every('up'), 15000);
    await wire.lose();
    await verdicts(gateway, every(/timeout: waiting for/), 15000);
    await wire.find();
    await verdicts(gateway, every('up'), 15000);
    await wire.forbid();
    await verdicts(gateway, every(/unreachable|exit status 7/), 15000);
    await wire.allow();
    await verdicts(gateway, every('up'), 15000);
  });
});
