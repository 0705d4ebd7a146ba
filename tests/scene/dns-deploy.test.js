// The examples of deploy/dns, as they are but for addresses, ports and folders: a zone that is delegated to Tidegate, and servers of
// others that are told by it what its names lead to.
'use strict';

const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');
const { describe } = require('node:test');
const { Udp, askWith, dnsQuery, run, scene, tool, waitFor } = require('./lib');

const DEPLOY = path.join(__dirname, '..', '..', 'deploy', 'dns');
const SECRET = crypto.randomBytes(32).toString('base64');
const ZONE = `$TTL 3600
@ SOA ns.example.com. hostmaster.example.com. 1 3600 300 1209600 30
@ NS ns.example.com.
@ TXT "not Tidegate's"
ns A 203.0.113.53
rt A 192.0.2.1
`;

// Debian's profile for named lets it read its own folders only, where AppArmor is on.
const isBindConfined = fs.existsSync('/etc/apparmor.d/usr.sbin.named') && /^Y/.test(read('/sys/module/apparmor/parameters/enabled'));

function read(file) {
  return fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : '';
}

// One of the examples with other words in place of some of its own; every one of them must be there.
function example(file, replacements) {
  let text = fs.readFileSync(path.join(DEPLOY, file), 'utf8');
  for (const [from, to] of Object.entries(replacements)) {
    assert.ok(text.includes(from), `${file} has no ${from}`);
    text = text.replaceAll(from, to);
  }
  return text;
}

// What rt.example.com leads to, as the server on that port has it.
async function leads(s, port) {
  const u = await Udp.open(s, port);
  try {
    return (await u.ask(dnsQuery('rt.example.com.'), 300)).answer.map(({ data }) => data);
  } finally {
    u.close();
  }
}

const until = (s, port, address, ms = 15000) => waitFor(`${address} on port ${port}`, async () => (await leads(s, port)).join() === address, ms);

function folder(s, name) {
  const made = fs.mkdtempSync(path.join(s.temp(), `${name}-`));
  fs.writeFileSync(path.join(made, 'example.com.zone'), ZONE);
  fs.chmodSync(made, 0o777); // named and knotd may give up root
  return made;
}

// The server that is told, and its secondary.
async function pair(s, start) {
  const ports = [await s.freePort(), await s.freePort()];
  await start(ports);
  const own = folder(s, 'secondary');
  fs.rmSync(path.join(own, 'example.com.zone'));
  const text = example('knot-secondary.conf', {
    '203.0.113.54@53': `127.0.0.1@${ports[1]}`, '203.0.113.53@53': `127.0.0.1@${ports[0]}`, '203.0.113.53': '127.0.0.1', '/run/knot': own, '/var/lib/knot': own,
  });
  fs.writeFileSync(path.join(own, 'knot.conf'), text);
  await s.start({ name: 'secondary', command: '/usr/sbin/knotd', args: ['-c', path.join(own, 'knot.conf')] });
  await until(s, ports[1], '192.0.2.1');
  return ports;
}

async function knot(s, ports) {
  const own = folder(s, 'knot');
  const text = example('knot.conf', {
    '203.0.113.53@53': `127.0.0.1@${ports[0]}`, '203.0.113.54@53': `127.0.0.1@${ports[1]}`, '203.0.113.54': '127.0.0.1', '/run/knot': own, '/var/lib/knot': own, TSIG_SECRET: SECRET,
  });
  fs.writeFileSync(path.join(own, 'knot.conf'), text);
  await s.start({ name: 'knot', command: '/usr/sbin/knotd', args: ['-c', path.join(own, 'knot.conf')] });
  await until(s, ports[0], '192.0.2.1');
}

async function bind(s, ports) {
  const own = folder(s, 'bind');
  const text = example('named.conf', {
    'port 53 { 203.0.113.53; }': `port ${ports[0]} { 127.0.0.1; }`, '203.0.113.54 port 53': `127.0.0.1 port ${ports[1]}`, '203.0.113.54': '127.0.0.1',
    'directory "/var/lib/bind";': `directory "${own}"; pid-file none;`, TSIG_SECRET: SECRET,
  });
  fs.writeFileSync(path.join(own, 'named.conf'), `${text}controls { };\n`);
  await s.start({ name: 'bind', command: '/usr/sbin/named', args: ['-g', '-n', '1', '-c', path.join(own, 'named.conf')] });
  await until(s, ports[0], '192.0.2.1');
}

// The gateway of hidden-primary.yaml with regions of the scene.
async function hiddenPrimary(s, port, regions) {
  const state = fs.mkdtempSync(path.join(s.temp(), 'state-'));
  return s.gateway((g) => example('hidden-primary.yaml', {
    '/var/lib/tidegate': state, '/run/tidegate/control.sock': g.control, '127.0.0.1:9180': `127.0.0.1:${g.adminPort}`,
    'http://192.0.2.10': `http://127.0.0.1:${regions[0].port}`, 'http://198.51.100.10': `http://127.0.0.1:${regions[1].port}`,
    '203.0.113.53:53': `127.0.0.1:${port}`, 'fail_back: 30s': 'fail_back: 0s',
  }), { env: { TSIG_SECRET: SECRET } });
}

describe('deploy/dns', { concurrency: 2 }, () => {
  scene('all configurations are good', async () => {
    for (const file of fs.readdirSync(DEPLOY).filter((name) => name.endsWith('.yaml'))) {
      const { code, stderr } = await run('tidegate', ['-t', '-c', path.join(DEPLOY, file)], { env: { TSIG_SECRET: SECRET } });
      assert.equal(code, 0, stderr);
    }
  });

  for (const [name, server] of Object.entries({ Knot: knot, BIND: bind })) {
    const skip = name === 'BIND' && isBindConfined && 'named may not read files of a scene here (AppArmor)';
    scene(`${name} is told what a name leads to, and tells its secondary`, { skip }, async (s) => {
      const ports = await pair(s, (both) => server(s, both));
      const regions = [await s.region({ name: 'us' }), await s.region({ name: 'eu' })];
      await hiddenPrimary(s, ports[0], regions);
      for (const port of ports) await until(s, port, '192.0.2.10');
      await regions[0].kill();
      for (const port of ports) await until(s, port, '198.51.100.10');
      await s.region({ name: 'us', port: regions[0].port });
      for (const port of ports) await until(s, port, '192.0.2.10');
      const text = await askWith('kdig', { port: ports[1], name: 'example.com.', type: 'TXT' });
      assert.equal(text.answer[0].data, '"not Tidegate\'s"', 'the rest of the zone is as it was');
    });
  }

  scene('the key of the examples lets Tidegate change that name and no other', async (s) => {
    const ports = await pair(s, (both) => knot(s, both));
    for (const [name, status] of [['rt', 'NOERROR'], ['a.rt', 'NOERROR'], ['www', 'REFUSED|NOTAUTH'], ['@', 'REFUSED|NOTAUTH']]) {
      const owner = name === '@' ? 'example.com.' : `${name}.example.com.`;
      const input = `server 127.0.0.1 ${ports[0]}\nzone example.com.\nkey hmac-sha256:tidegate ${SECRET}\nupdate add ${owner} 60 A 192.0.2.66\nsend\nanswer\n`;
      const { text, stderr } = await tool('nsupdate', ['-t', '5'], { input });
      assert.match(`${text}${stderr}`, new RegExp(status), name);
    }
  });

  scene('a zone that is delegated: the checks of README.md', async (s) => {
    const regions = [await s.region({ name: 'us' }), await s.region({ name: 'eu' })];
    const redis = await s.redis();
    const [a, b] = await Promise.all(['ns1', 'ns2'].map(async (name) => {
      const port = await s.freePort();
      const state = fs.mkdtempSync(path.join(s.temp(), 'state-'));
      const gateway = await s.gateway((g) => example('delegated.yaml', {
        '/var/lib/tidegate': state, '/run/tidegate/control.sock': g.control, '127.0.0.1:9180': `127.0.0.1:${g.adminPort}`,
        'https://192.0.2.10': `http://127.0.0.1:${regions[0].port}`, 'https://198.51.100.10': `http://127.0.0.1:${regions[1].port}`,
        'redis://10.0.0.5:6379/1': redis.url, '"0.0.0.0:53", "[::]:53"': `"127.0.0.1:${port}"`,
      }), { name, env: { TIDEGATE_NODE: name } });
      return { gateway, port };
    }));
    const serial = async (port) => (await askWith('dig', { port, name: 'rt.example.com.', type: 'SOA' })).answer[0].data.split(' ')[2];
    await waitFor('both to say the same', async () => (await serial(a.port)) === (await serial(b.port)));
    for (const { port } of [a, b]) {
      const { flags, answer, additional } = await askWith('dig', { port, name: 'rt.example.com.', type: 'NS' });
      assert.ok(flags.includes('aa'));
      assert.deepEqual(answer.map(({ data }) => data).sort(), ['ns1.rt.example.com.', 'ns2.rt.example.com.']);
      assert.deepEqual(additional.map(({ data }) => data).sort(), ['203.0.113.1', '203.0.113.2']);
      await until(s, port, '192.0.2.10');
    }
    await regions[0].kill();
    for (const { port } of [a, b]) await until(s, port, '198.51.100.10');
    await waitFor('both to say the same', async () => (await serial(a.port)) === (await serial(b.port)));
  });
});
