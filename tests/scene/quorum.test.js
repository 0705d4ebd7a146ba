// Two gateways and a checker that stands alone judge together, by way of a real Redis: most of them decide what names are answered with,
// and each decides alone when it cannot hear the others.
'use strict';

const assert = require('node:assert/strict');
const { describe } = require('node:test');
const { Authority, Quorum, Redis, get, redisCluster, redisSentinels, scene, waitFor } = require('./lib');

const ALL_UP = { effective: 'up', fra: 'up', iad: 'up', watcher: 'up' };

// All have judged region a, and all know it.
async function together(s, options) {
  const q = await Quorum.start(s, options);
  await Promise.all(q.gateways.map((gateway) => q.untilSays(gateway, 'a', ALL_UP)));
  await q.agree('a');
  return q;
}

function status(gateway) {
  return gateway.gateway.status();
}

describe('a quorum', { concurrency: 2 }, () => {
  scene('one of three that is blind is outvoted, wherever it stands; two are not', async (s) => {
    const q = await together(s);
    const { leader, follower } = await q.led();
    for (const one of [leader, follower, q.watcher]) {
      one.blind();
      const wanted = { effective: 'up', [one.name]: 'down' };
      await Promise.all(q.gateways.map((gateway) => q.untilSays(gateway, 'a', wanted)));
      if (one.gateway) assert.equal((await one.standing('a')).state, 'down'); // what its own workers act on
      for (const gateway of q.gateways) assert.equal(await gateway.now(), 'a');
      one.see();
      await Promise.all(q.gateways.map((gateway) => q.untilSays(gateway, 'a', ALL_UP)));
    }
    follower.blind('a');
    q.watcher.blind('a');
    await q.agree('b'); // the leader sees it well, and is outvoted
    assert.equal((await leader.standing('a')).state, 'up');
    q.watcher.see();
    await q.agree('a');
  });

  scene('all answer the same, under the same serial, when a region dies', async (s) => {
    const q = await together(s);
    const before = await q.fra.names.serial();
    await q.regions.a.kill();
    await q.agree('b');
    await waitFor('the same serial everywhere', async () => {
      const [one, other] = await Promise.all(q.gateways.map((gateway) => gateway.names.serial()));
      return one === other && one !== before;
    });
    const [{ dns: one }, { dns: other }] = await Promise.all(q.gateways.map(status));
    assert.deepEqual([one.term, one.version], [other.term, other.version]);
    await s.region({ name: 'a', port: q.regions.a.port });
    await q.agree('a');
  });

  scene('without Redis each has its own view alone, and with it they agree again', async (s) => {
    const q = await together(s);
    const { leader, follower } = await q.led();
    follower.blind('a');
    await q.untilSays(leader, 'a', { effective: 'up', [follower.name]: 'down' });
    await q.redis.kill();
    await follower.until('b');
    assert.equal(await leader.now(), 'a');
    await waitFor('both to say that they are alone', async () => Object.values(await q.roles()).every((role) => role === 'alone'));
    const { quorum } = await status(leader);
    assert.deepEqual([quorum.connected, quorum.voters, quorum.peers], [false, 1, []]);
    await q.redis.begin();
    await q.led();
    await q.agree('a');
    await q.untilSays(follower, 'a', { effective: 'up', watcher: 'up' });
  });

  scene('who cannot reach Redis is alone, the others go on', async (s) => {
    const q = await together(s);
    const { leader, follower } = await q.led();
    follower.blind('a');
    await q.untilSays(leader, 'a', { [follower.name]: 'down' });
    leader.judge.redis.clog(); // nobody is told
    await waitFor('the other one to lead', async () => (await q.roles())[follower.name] === 'leads', 10000);
    await waitFor('the first one to be alone', async () => (await q.roles())[leader.name] === 'alone', 10000);
    await q.untilSays(follower, 'a', { watcher: 'up' });
    assert.equal((await q.says(follower, 'a')).says[leader.name], undefined);
    assert.equal(await leader.now(), 'a'); // its own view
    assert.equal(await follower.now(), 'a'); // one to one: what was decided stands
    leader.judge.redis.unclog();
    follower.see();
    await Promise.all(q.gateways.map((gateway) => q.untilSays(gateway, 'a', ALL_UP)));
    await q.led();
  });

  scene('a leader that is killed is followed by another, in a term of its own, and no answer changes', async (s) => {
    const q = await together(s);
    const { leader, follower } = await q.led();
    const { dns: before } = await status(follower);
    const { checker } = await leader.gateway.processes();
    leader.gateway.process.signalled('SIGSTOP'); // or it would start another one
    process.kill(checker.pid, 'SIGKILL'); // which takes no leave
    leader.gateway.process.signalled('SIGKILL');
    await leader.gateway.process.exited;
    q.gateways = [follower];
    await waitFor('the other one to lead', async () => (await q.roles())[follower.name] === 'leads', 10000);
    const { dns } = await status(follower);
    assert.ok(dns.term > before.term);
    assert.equal(dns.serial, before.serial); // nothing was chosen anew
    assert.equal(await follower.now(), 'a');
    await q.regions.a.kill();
    await follower.until('b');
  });

  scene('a leader that was stopped finds that it leads no more, and undoes nothing', async (s) => {
    const q = await together(s);
    const { leader, follower } = await q.led();
    const { checker } = await leader.gateway.processes();
    process.kill(checker.pid, 'SIGSTOP');
    s.atEnd(() => { try { process.kill(checker.pid, 'SIGCONT'); } catch { /* it is gone */ } });
    await waitFor('the other one to lead', async () => (await status(follower)).quorum.role === 'leads', 10000);
    await q.regions.a.kill();
    await follower.until('b');
    process.kill(checker.pid, 'SIGCONT');
    await leader.until('b');
    await waitFor('the first one to follow', async () => (await status(leader)).quorum.role !== 'alone');
    assert.equal(await follower.now(), 'b');
    const [one, other] = await Promise.all(q.gateways.map(status));
    assert.equal(one.dns.serial, other.dns.serial);
  });

  scene('a Redis that is flushed costs nobody an answer, and terms do not go back', async (s) => {
    const q = await together(s);
    await q.led();
    const term = async () => Math.max(...(await Promise.all(q.gateways.map(status))).map(({ dns }) => dns.term));
    for (let i = 0; i < 3; i++) {
      const before = await term();
      await q.redis.command('FLUSHALL');
      await waitFor('another term', async () => (await term()) > before, 10000);
      await q.led();
      for (const gateway of q.gateways) assert.equal(await gateway.now(), 'a');
    }
    await q.regions.a.kill();
    await q.agree('b');
  });

  scene('rubbish in the place where they meet is cleared away', async (s) => {
    const q = await together(s);
    await q.led();
    for (const key of ['views', 'lease', 'decision', 'term']) {
      await q.redis.command('EVAL', "redis.call('DEL', KEYS[1]) redis.call('RPUSH', KEYS[1], 'rubbish')", 1, `{tidegate:tidegate}:${key}`);
    }
    await Promise.all(q.gateways.map((gateway) => q.untilSays(gateway, 'a', ALL_UP)));
    await q.led();
    await q.regions.a.kill();
    await q.agree('b');
  });

  scene('what is answered is what most see, where clients are sent is what their own gateway sees', async (s) => {
    const ports = {};
    const q = await Quorum.start(s, {
      gateways: ['fra', 'iad', 'lhr'], checkers: [], answers: [{ target: 'p/a' }, { target: 'p/b', tier: 'backup' }],
      more: async ({ name, ways }, { regions }) => {
        ports[name] = await s.freePort();
        const server = ([region, { port }], i) => ({ name: region, url: `http://127.0.0.1:${port}`, check: { port: ways[region].port }, tier: ['primary', 'backup'][i] });
        return {
          listen: [{ address: `127.0.0.1:${ports[name]}` }], routes: [{ path: '/', pool: 'p' }],
          pools: { p: { check: { type: 'http', path: '/health', interval: '200ms', timeout: '200ms', fall: 4 }, servers: Object.entries(regions).map(server) } },
        };
      },
    });
    const sentTo = async ({ name }) => (await get(ports[name], '/health')).headers['x-region'];
    const says = async (gateway) => (await status(gateway)).quorum.views.find(({ server }) => server === 'p/a');
    const agreed = (wanted) => Promise.all(q.gateways.map((gateway) => waitFor(`${gateway.name} to hear ${JSON.stringify(wanted)}`, async () => {
      const { effective, says: each } = await says(gateway);
      return effective === 'up' && Object.entries(wanted).every(([node, state]) => each[node] === state);
    }, 10000)));
    await agreed({ fra: 'up', iad: 'up', lhr: 'up' });
    await q.agree('a');
    q.fra.blind('a'); // its checks alone: clients would get there
    await agreed({ fra: 'down', iad: 'up', lhr: 'up' });
    assert.deepEqual(await Promise.all(q.gateways.map(sentTo)), ['b', 'a', 'a']);
    await q.agree('a');
    q.fra.see();
    await agreed({ fra: 'up' });
    assert.equal(await sentTo(q.fra), 'a');
  });

  scene('an operator who forces a server down on one gateway forces it everywhere', async (s) => {
    const q = await together(s);
    await q.iad.ctl('force', 'targets/a', 'down');
    await q.agree('b');
    assert.equal((await q.fra.standing('a')).state, 'up'); // its own workers go on
    await q.iad.ctl('force', 'targets/a', 'auto');
    await q.agree('a');
  });

  scene('a checker that leaves says so, and one that joins is heard', async (s) => {
    const q = await together(s, { lifetime: '60s' });
    await q.watcher.process.stop('SIGTERM');
    assert.equal(q.watcher.process.code, 0);
    await waitFor('its voice to be gone', async () => (await status(q.fra)).quorum.peers.every(({ node }) => node !== 'watcher'), 5000); // long before its lifetime
    await q.checker('sentinel');
    await q.untilSays(q.fra, 'a', { sentinel: 'up' });
    const peer = (await status(q.fra)).quorum.peers.find(({ node }) => node === 'sentinel');
    assert.equal(peer.kind, 'checker');
  });
});

describe('a quorum that meets in another kind of Redis', { concurrency: 2 }, () => {
  const address = ({ port }) => `127.0.0.1:${port}`;

  scene('one that Sentinels watch dies: they meet in its replica, and terms go on', async (s) => {
    const { master, replica, sentinels } = await redisSentinels(s);
    const q = await together(s, { redis: { mode: 'sentinel', master: 'main', url: sentinels[0].url.replace(/\/0$/, ''), nodes: sentinels.slice(1).map(address) } });
    await q.led();
    const term = async () => Math.max(...(await Promise.all(q.gateways.map(status))).map(({ dns }) => dns.term));
    const before = await term();
    await master.kill();
    await waitFor('the replica to be master', async () => (await replica.command('ROLE'))[0] === 'master', 20000);
    await waitFor('all of them to speak there', async () => (await replica.command('HLEN', '{tidegate:tidegate}:views')) === 3 && (await replica.command('PTTL', '{tidegate:tidegate}:lease')) > 1500, 20000);
    await q.led();
    assert.ok((await term()) >= before);
    await Promise.all(q.gateways.map((gateway) => q.untilSays(gateway, 'a', ALL_UP)));
    await q.regions.a.kill();
    await q.agree('b');
  });

  scene('a cluster, whichever node is asked first', async (s) => {
    const nodes = await redisCluster(s);
    const q = await together(s, { redis: { mode: 'cluster', url: nodes[2].url.replace(/\/0$/, ''), nodes: nodes.slice(0, 2).map(address) } });
    await q.led();
    const keys = (await Promise.all(nodes.map((node) => node.keys('{tidegate:tidegate}:*')))).filter(({ length }) => length > 0);
    assert.equal(keys.length, 1); // all in one place
    await q.regions.a.kill();
    await q.agree('b');
  });

  scene('over TLS, by name and password', async (s) => {
    const authority = await Authority.create(s);
    const redis = await Redis.start(s, { user: 'judge', password: 'secret', acl: ['~{tidegate:*', '+@all'], tls: { ...(await authority.issue('redis', ['IP:127.0.0.1'])), ca: authority.file } });
    const q = await together(s, { redis: { url: redis.url, tls: { ca: authority.file } } });
    await q.led();
    await q.regions.a.kill();
    await q.agree('b');
  });
});
