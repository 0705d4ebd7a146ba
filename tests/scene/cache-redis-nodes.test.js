// A Redis of several nodes: a cluster, and a master with a replica that Sentinels watch.
'use strict';

const assert = require('node:assert/strict');
const { describe } = require('node:test');
const { Authority, Fleet, Load, ask, cacheStatus, isSanitized, redisCluster, redisSentinels, scene, waitFor } = require('./lib');

const PROMPT_MS = isSanitized ? 4000 : 1500; // nobody waits for Redis; a busy machine takes its time
const QUICK = { timeout: '100ms', connect_timeout: '300ms', circuit: { failures: 3, open: '200ms' } };
const FAILOVER_MS = 20000;

const address = (node) => `127.0.0.1:${node.port}`;
const named = (prefix, count) => Array.from({ length: count }, (_, i) => `/${prefix}/${i}`);

function assertServed(answers) {
  assert.deepEqual(answers.filter(({ error, status, path, text }) => error || status !== 200 || text !== path).slice(0, 3), []);
  const slowest = Math.max(...answers.map(({ ms }) => ms));
  assert.ok(slowest < PROMPT_MS, `${Math.round(slowest)} ms`);
}

async function onCluster(s, options = {}) {
  const nodes = await redisCluster(s, { args: ['--cluster-require-full-coverage', 'no'] });
  const redis = { mode: 'cluster', url: nodes[0].url.replace(/\/0$/, ''), nodes: nodes.slice(1).map(address), ...QUICK, timeout: '500ms' };
  const fleet = await Fleet.start(s, { redis: { ...redis, ...options.redis }, cache: { tags: ['t'] } });
  await fleet.joined();
  return { nodes, redis, fleet };
}

// The node that has a key.
async function holderOf(nodes, key) {
  for (const node of nodes) if ((await node.keys(key)).length > 0) return node;
  throw new Error(`${key} is nowhere`);
}

// What one has in Redis, the other finds there, for each of these paths.
async function shared(fleet, paths, from = fleet.a, to = fleet.b) {
  for (const path of paths) await ask(from, path);
  for (const path of paths) assert.match(cacheStatus(await ask(to, path)), /^hit; ttl=\d+; detail=l2$/, path);
}

describe('a cluster of three masters', { concurrency: 2 }, () => {
  scene('entries are on all of them, and a purge reaches whoever reads any', async (s) => {
    const { nodes, fleet } = await onCluster(s);
    await shared(fleet, named('p', 30));
    for (const node of nodes) assert.ok((await node.keys('tidegate:e:*')).length > 0, node.name);
    assert.equal((await fleet.b.ctl('purge', 'tag', 't')).code, 0);
    await waitFor('the other one to hear of it', async () => /uri-miss/.test(cacheStatus(await ask(fleet.a, '/p/0'))) || fleet.asked('/p/0') > 1, 2000);
    await shared(fleet, named('p', 30).slice(1), fleet.b, fleet.a);
    for (const path of named('p', 30)) assert.equal(fleet.asked(path), 2);
  });

  scene('a master that is killed: what it had is fetched anew, what the others have is used', async (s) => {
    const { nodes, fleet } = await onCluster(s, { redis: QUICK });
    const log = await holderOf(nodes, 'tidegate:purges');
    const victim = nodes.find((node) => node !== log);
    const load = new Load(fleet.gateways, { paths: 1e6 });
    await load.more();
    await victim.kill();
    await load.more(300);
    await fleet.shares(fleet.a, fleet.b);
    await fleet.shares(fleet.b, fleet.a);
    for (const g of fleet.gateways) await ask(g, '/x');
    const asked = fleet.asked('/x');
    assert.equal((await fleet.a.ctl('purge', 'tag', 't')).code, 0);
    await waitFor('the other one to hear of it', async () => (await ask(fleet.b, '/x')) && fleet.asked('/x') > asked, 2000);
    assertServed(await load.stop());
    await victim.begin();
    await waitFor('it to be used again', async () => {
      await shared(fleet, named(`round${fleet.probeCount++}`, 12));
      return (await victim.keys('tidegate:e:*')).length > 0;
    }, FAILOVER_MS);
  });

  scene('the master with the purge log is killed: each goes on with its own memory, and hears of what was purged', async (s) => {
    const { nodes, fleet } = await onCluster(s, { redis: QUICK });
    const log = await holderOf(nodes, 'tidegate:purges');
    for (const g of fleet.gateways) await ask(g, '/x');
    const asked = fleet.asked('/x');
    await log.command('SAVE');
    const load = new Load(fleet.gateways, { paths: 1e6 });
    await load.more();
    await log.kill();
    await load.more(200);
    assert.match((await fleet.a.ctl('purge', 'tag', 't')).stdout, /other gateways/);
    await log.begin();
    await waitFor('the other one to hear of it', async () => (await ask(fleet.b, '/x')) && fleet.asked('/x') > asked, FAILOVER_MS);
    await fleet.shares(fleet.a, fleet.b, FAILOVER_MS);
    assertServed(await load.stop());
  });

  scene('slots that move take their entries along', async (s) => {
    const { nodes, fleet } = await onCluster(s);
    for (const path of named('p', 3)) await ask(fleet.a, path);
    const from = await holderOf(nodes, 'tidegate:e:*');
    const to = nodes.find((node) => node !== from);
    const [fromId, toId] = [await from.command('CLUSTER', 'MYID'), await to.command('CLUSTER', 'MYID')];
    const [key] = await from.keys('tidegate:e:*');
    const slot = await from.command('CLUSTER', 'KEYSLOT', key);
    await to.command('CLUSTER', 'SETSLOT', slot, 'IMPORTING', fromId);
    await from.command('CLUSTER', 'SETSLOT', slot, 'MIGRATING', toId);
    await from.command('MIGRATE', '127.0.0.1', to.port, key, 0, 5000);
    for (const path of named('p', 3)) assert.match(cacheStatus(await ask(fleet.b, path)), /detail=l2/, `${path}, half moved`);
    for (const node of [to, from, ...nodes]) await node.command('CLUSTER', 'SETSLOT', slot, 'NODE', toId);
    const c = await fleet.add('c', { mode: 'cluster', url: `redis://${address(from)}`, ...QUICK, timeout: '500ms' });
    await fleet.joined([c]);
    assert.equal((await fleet.a.ctl('purge', 'tag', 't')).code, 0);
    for (const path of named('p', 3)) {
      await waitFor('the purge', async () => (await ask(fleet.b, path)) && fleet.asked(path) === 2, 2000);
      for (const g of [fleet.a, c]) assert.match(cacheStatus(await ask(g, path)), /detail=l2/, `${path}, moved`);
    }
    assert.equal((await to.keys(key)).length, 1, 'the new one is at the new place');
  });
});

describe('a master that Sentinels watch', { concurrency: 2 }, () => {
  scene('it dies, its replica takes over, and purges and entries go on', async (s) => {
    const { master, replica, sentinels } = await redisSentinels(s);
    const redis = { mode: 'sentinel', master: 'main', url: sentinels[0].url.replace(/\/0$/, ''), nodes: sentinels.slice(1).map(address), ...QUICK };
    const fleet = await Fleet.start(s, { redis, cache: { tags: ['t'] } });
    await fleet.joined();
    await fleet.shares(fleet.a, fleet.b);
    assert.ok((await master.keys('tidegate:e:*')).length > 0);
    for (const g of fleet.gateways) await ask(g, '/x');
    await waitFor('the replica to have it', async () => (await replica.keys('tidegate:*')).length === (await master.keys('tidegate:*')).length);
    await sentinels[0].kill(); // two of three are enough
    const load = new Load(fleet.gateways, { paths: 1e6 });
    await load.more();
    const asked = fleet.asked('/x');
    await master.kill();
    await load.more(100);
    assert.match((await fleet.a.ctl('purge', 'tag', 't')).stdout, /other gateways/);
    await waitFor('the replica to be master', async () => (await replica.command('ROLE'))[0] === 'master', FAILOVER_MS);
    await waitFor('the other one to hear of the purge', async () => (await ask(fleet.b, '/x')) && fleet.asked('/x') > asked, FAILOVER_MS);
    await fleet.shares(fleet.a, fleet.b, FAILOVER_MS);
    assertServed(await load.stop());
    assert.match((await fleet.b.ctl('purge', 'url', '/x')).stdout, /other gateways are being told/);
    const before = fleet.asked('/x');
    await waitFor('a purge', async () => (await ask(fleet.a, '/x')) && fleet.asked('/x') > before, 2000);
  });

  scene('with TLS between all of them: Sentinels and master are asked over it, and nobody else is believed', async (s) => {
    const authority = await Authority.create(s);
    const stranger = await Authority.create(s, 'stranger');
    const tls = { ...(await authority.issue('redis', ['IP:127.0.0.1'])), ca: authority.file };
    const { master, replica, sentinels } = await redisSentinels(s, { tls });
    const redis = { mode: 'sentinel', master: 'main', url: sentinels[0].url.replace(/\/0$/, ''), nodes: sentinels.slice(1).map(address), tls: { ca: authority.file }, ...QUICK, timeout: '500ms' };
    const fleet = await Fleet.start(s, { redis, cache: { tags: ['t'] } });
    await fleet.joined();
    await fleet.shares(fleet.a, fleet.b);
    assert.ok((await master.keys('tidegate:e:*')).length > 0);
    const c = await fleet.add('c', { ...redis, tls: { ca: stranger.file } });
    await c.process.line(/redis not reached link="redis sentinel" .*certificate/i);
    assert.equal(cacheStatus(await ask(c, '/x')), 'fwd=uri-miss; stored');
    await master.kill();
    await waitFor('the replica to be master', async () => (await replica.command('ROLE'))[0] === 'master', FAILOVER_MS);
    await fleet.shares(fleet.a, fleet.b, FAILOVER_MS);
    assert.ok((await replica.keys('tidegate:e:*')).length > 0);
  });
});
