// Real Redis servers: one, a cluster, or one that Sentinels watch. Each has a folder of its own, and is gone when its scene ends.
'use strict';

const fs = require('node:fs');
const path = require('node:path');
const { Resp } = require('./resp');
const { waitFor } = require('./wait');

const LISTENS = /Ready to accept connections/;

class Redis {
  // `port`: where, when that matters. `unix`: on a socket as well, `.path`. `password`: of everybody, or of `user`, who may do
  // what `acl` says. `tls`: {cert, key, ca}
  // (paths), and then nothing else. `args`: further settings, "--maxmemory", "1mb" and so on.
  static async start(s, { name = 'redis', port, unix = false, user, password, acl, tls, args = [] } = {}) {
    const r = new Redis(s, name, port ?? (await s.freePort()));
    r.password = password;
    r.user = user;
    if (tls) r.ca = fs.readFileSync(tls.ca);
    if (unix) r.path = path.join(r.folder, 'redis.sock');
    r.args = [
      ...(tls ? ['--port', '0', '--tls-port', r.port, '--tls-cert-file', tls.cert, '--tls-key-file', tls.key, '--tls-ca-cert-file', tls.ca, '--tls-auth-clients', 'no'] : ['--port', r.port]),
      ...(unix ? ['--unixsocket', r.path, '--unixsocketperm', '777'] : []), // the gateway's workers may be somebody else
      ...(password && user ? ['--user', user, 'on', `>${password}`, ...(acl ?? ['~*', '+@all']), '--user', 'default', 'off'] : password ? ['--requirepass', password] : []),
      ...['--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', r.folder, '--daemonize', 'no', ...args],
    ].map(String);
    await r.begin();
    return r;
  }

  constructor(scene, name, port) {
    this.scene = scene;
    this.name = name;
    this.port = port;
    this.folder = fs.mkdtempSync(path.join(scene.temp(), `${name}-`));
    fs.chmodSync(this.folder, 0o755);
  }

  // On its port again after kill() or stop(), with what was saved ("SAVE") unless that is forgotten.
  async begin({ isEmpty = false } = {}) {
    if (isEmpty) fs.rmSync(path.join(this.folder, 'dump.rdb'), { force: true });
    this.process = await this.scene.start({ name: this.name, command: 'redis-server', args: this.args, ready: LISTENS });
    this.pid = this.process.pid;
  }

  get url() {
    const who = this.password ? `${this.user ?? ''}:${encodeURIComponent(this.password)}@` : '';
    return `${this.ca ? 'rediss' : 'redis'}://${who}127.0.0.1:${this.port}/0`;
  }

  async #client() {
    if (this.client && !this.client.raw.hasEnded) return this.client;
    this.client = await this.#connect();
    return this.client;
  }

  async #connect() {
    const client = await Resp.connect({ port: this.port, ca: this.ca });
    this.scene.atEnd(() => client.end());
    if (this.password) await client.command('AUTH', this.user ?? 'default', this.password);
    return client;
  }

  // One command; texts of the reply as text, or as bytes.
  async command(...words) {
    return (await this.#client()).command(...words);
  }

  async bytes(...words) {
    return (await this.#client()).bytes(...words);
  }

  // Until the scene ends, `fn` gets the bytes of every message of that channel.
  async subscribe(channel, fn) {
    await (await this.#connect()).subscribe(channel, fn);
  }

  keys(pattern = '*') {
    return this.command('KEYS', pattern);
  }

  // What clients it has, by what each is waiting for or has asked last.
  async clients() {
    const own = await this.command('CLIENT', 'ID');
    const lines = (await this.command('CLIENT', 'LIST')).trim().split('\n');
    return lines.map((line) => Object.fromEntries(line.split(' ').map((field) => field.split(/=(.*)/s)))).filter(({ id }) => Number(id) !== own);
  }

  // How often each command was called since the last look, by name in lower case.
  async calls() {
    const text = await this.command('INFO', 'commandstats');
    await this.command('CONFIG', 'RESETSTAT');
    return Object.fromEntries([...text.matchAll(/cmdstat_(\S+?):calls=(\d+)/g)].map(([, name, count]) => [name, Number(count)]));
  }

  freeze() {
    this.process.signalled('SIGSTOP');
  }

  thaw() {
    this.process.signalled('SIGCONT');
  }

  kill() {
    return this.process.kill();
  }

  stop() {
    return this.process.stop();
  }
}

// Three masters that have all slots between them.
async function redisCluster(s, { args = [] } = {}) {
  const SLOTS = 16384;
  const nodes = await Promise.all([0, 1, 2].map(async (i) => {
    const bus = await s.freePort();
    const options = ['--cluster-enabled', 'yes', '--cluster-config-file', 'nodes.conf', '--cluster-port', bus, '--cluster-node-timeout', '1000'];
    return Object.assign(await Redis.start(s, { name: `redis-${i}`, args: [...options, ...args] }), { bus });
  }));
  await Promise.all(nodes.map((node, i) => node.command('CLUSTER', 'ADDSLOTSRANGE', Math.floor((SLOTS * i) / 3), Math.floor((SLOTS * (i + 1)) / 3) - 1)));
  for (const node of nodes.slice(1)) await nodes[0].command('CLUSTER', 'MEET', '127.0.0.1', node.port, node.bus);
  for (const node of nodes) {
    await waitFor(`${node.name} to know the cluster`, async () => {
      const info = await node.command('CLUSTER', 'INFO');
      return info.includes('cluster_state:ok') && info.includes('cluster_known_nodes:3');
    }, 15000);
  }
  return nodes;
}

// {master, replica, sentinels}; the Sentinels call the master "main". `tls`: {cert, key, ca} of all of them.
async function redisSentinels(s, { downAfterMs = 500, tls } = {}) {
  const args = ['--repl-diskless-sync-delay', '0', ...(tls ? ['--tls-replication', 'yes'] : [])];
  const master = await Redis.start(s, { name: 'redis-a', tls, args });
  const replica = await Redis.start(s, { name: 'redis-b', tls, args: ['--replicaof', `127.0.0.1 ${master.port}`, ...args] });
  await waitFor('the replica', async () => (await replica.command('INFO', 'replication')).includes('master_link_status:up'), 15000);
  const sentinels = await Promise.all([0, 1, 2].map((i) => startSentinel(s, i, master, downAfterMs, tls)));
  for (const sentinel of sentinels) {
    await waitFor(`${sentinel.name} to know the others`, async () => {
      const text = await sentinel.command('INFO', 'sentinel');
      return /slaves=1,sentinels=3/.test(text);
    }, 15000);
  }
  return { master, replica, sentinels };
}

async function startSentinel(s, index, master, downAfterMs, tls) {
  const r = new Redis(s, `sentinel-${index}`, await s.freePort());
  if (tls) r.ca = fs.readFileSync(tls.ca);
  const safe = tls ? [`tls-port ${r.port}`, `tls-cert-file ${tls.cert}`, `tls-key-file ${tls.key}`, `tls-ca-cert-file ${tls.ca}`, 'tls-auth-clients no', 'tls-replication yes'] : [];
  const file = path.join(r.folder, 'sentinel.conf'); // it writes to this file, too
  const lines = ['bind 127.0.0.1', `port ${tls ? 0 : r.port}`, ...safe, `dir ${r.folder}`, `sentinel monitor main 127.0.0.1 ${master.port} 2`,
    `sentinel down-after-milliseconds main ${downAfterMs}`, 'sentinel failover-timeout main 4000'];
  fs.writeFileSync(file, `${lines.join('\n')}\n`);
  r.process = await s.start({ name: r.name, command: 'redis-server', args: [file, '--sentinel'], ready: /\+monitor master main/ });
  return r;
}

module.exports = { Redis, redisCluster, redisSentinels };
