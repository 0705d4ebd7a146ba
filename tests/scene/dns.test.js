// The process that answers names, as the supervisor runs it: its sockets, what is refused before it starts, what it counts; and names
// that stand for other names.
'use strict';

const assert = require('node:assert/strict');
const { describe } = require('node:test');
const { Nameserver, Steered, metric, run, scene, tool, waitFor } = require('./lib');

const dig = async (port, ...args) => (await tool('dig', ['+short', '+time=3', '+tries=1', '-p', String(port), '@127.0.0.1', ...args])).text.trim();

describe('the process that answers', { concurrency: true }, () => {
  scene('has one port for UDP and TCP, also when the kernel chooses it', async (s) => {
    const dns = { zone: 'z.test', listen: ['127.0.0.1:0'], nameservers: ['ns1.z.test'], records: [{ name: 'www', a: ['192.0.2.1'] }] };
    const gateway = await s.gateway({ listen: undefined, dns });
    const [, port] = await gateway.process.line(/listening address=127\.0\.0\.1:(\d+) serves=dns/);
    assert.equal(await dig(port, 'www.z.test'), '192.0.2.1');
    assert.equal(await dig(port, '+tcp', 'www.z.test'), '192.0.2.1');
    assert.deepEqual(Object.keys(await gateway.processes()).sort(), ['admin', 'dns', 'supervisor'], 'nobody else has anything to do');
  });

  scene('a zone that cannot be is refused with the record and the key, by -t and at a reload', async (s) => {
    const n = await Nameserver.start(s, { dns: { records: [{ name: 'www', a: ['192.0.2.1'] }] } });
    const bad = { records: [{ name: 'www', mx: ['mail.example.net'] }] };
    await assert.rejects(n.reload({ dns: bad }), /reload failed/);
    const { code, stderr } = await run('tidegate', ['-t', '-c', n.gateway.file]);
    assert.equal(code, 78);
    assert.match(stderr, /dns\.records www: mx: www\.z\.test\. MX: /);
    assert.equal(await dig(n.port, 'www.z.test'), '192.0.2.1');
  });

  scene('goes when the zone goes, comes back with it, and stays when another process keeps all at the old configuration', async (s) => {
    const n = await Nameserver.start(s, { dns: { records: [{ name: 'www', a: ['192.0.2.1'] }] } });
    const web = {
      listen: [{ address: `127.0.0.1:${n.gateway.port}` }],
      pools: { web: { servers: [{ name: 'w', url: 'http://127.0.0.1:9' }] } },
      routes: [{ pool: 'web' }],
    };
    const { dns } = n.config();
    const isAnswered = async () => (await dig(n.port, 'www.z.test')) === '192.0.2.1' && (await dig(n.port, '+tcp', 'www.z.test')) === '192.0.2.1';
    await n.gateway.reload(web);
    await waitFor('the process to go', async () => (await n.gateway.processes()).dns === undefined);
    await n.gateway.reload({ ...web, dns });
    await waitFor('the zone to be answered again', isAnswered);

    const { pid } = (await n.gateway.processes())['worker-0'];
    const mark = n.gateway.process.mark();
    process.kill(pid, 'SIGSTOP'); // it has no answer to the offer
    const refused = assert.rejects(n.gateway.reload(web), /reload failed/);
    await n.gateway.process.line(/dns no zone to answer for/, 5000, mark);
    assert.equal((await n.gateway.ctl('events')).code, 0); // the supervisor answers again: it has offered it to all
    process.kill(pid, 'SIGKILL');
    await refused;
    await waitFor('the zone to be answered after all', isAnswered);
  });

  scene('counts what it is asked and what it says', async (s) => {
    const n = await Nameserver.start(s, { dns: { records: [{ name: 'www', a: ['192.0.2.1'] }] } });
    const families = ['dns_udp_queries_total', 'dns_tcp_queries_total', 'dns_answers_total', 'dns_nodata_total', 'dns_nxdomain_total', 'dns_refused_total'];
    const counts = async () => Promise.all(families.map((family) => metric(n.gateway, family)));
    const before = await counts();
    await dig(n.port, 'www.z.test');
    await dig(n.port, '+tcp', 'www.z.test', 'AAAA');
    await dig(n.port, 'nobody.z.test');
    await dig(n.port, 'www.example.net');
    const after = await counts();
    assert.deepEqual(after.map((count, i) => count - before[i]), [3, 1, 1, 1, 1, 1]);
  });

  scene('an alias at the apex has the addresses of what it names: a host of others, and a name of our own that fails over', async (s) => {
    const t = await Steered.start(s, {});
    const records = [...t.names.dns.records, { name: '@', alias: 'www.z.test' }, { name: 'local', alias: 'localhost' }];
    await t.names.reload({ dns: { records } });
    const both = async () => Promise.all([t.names.data('@'), t.names.data('www')]);
    const [apex, www] = await both();
    assert.deepEqual(apex, www);
    await waitFor('localhost to be resolved', async () => (await dig(t.names.port, 'local.z.test')) === '127.0.0.1');
    await t.judged({ a: 'up', b: 'up' });
    await t.regions.a.kill();
    await t.until('b');
    const [later, now] = await both();
    assert.deepEqual(later, now);
    assert.notDeepEqual(later, apex);
  });
});
