// Gateways before one origin, which share answers and purges by way of a Redis.
'use strict';

const { request } = require('./http');
const { Origin, reply } = require('./origin');
const { later, waitFor } = require('./wait');

const HOST = 'shop.example.com'; // to the cache another port would be another host

// What a gateway answers to a client who asks for the fleet's name.
const ask = (gateway, path, { headers = {}, ...options } = {}) => request({ ms: 15000, ...options, port: gateway.port, path, headers: { Host: HOST, ...headers } });

// What Cache-Status says, without the gateway's name.
const cacheStatus = (answer) => answer.headers['cache-status']?.replace(/^\S+?; /, '');

class Fleet {
  // `redis`: keys of cache.redis, or one such object for each gateway. `cache`: of the route; `memory`: for what is kept. `answer`: the origin's, by default what `pages`
  // has for the path, or the path.
  static async start(s, { redis, names = ['a', 'b'], answer, ...options } = {}) {
    const f = new Fleet(s, options);
    f.origin = await Origin.start(s, answer ?? ((request) => f.#page(request)));
    await Promise.all(names.map((name, i) => f.add(name, Array.isArray(redis) ? redis[i] : redis)));
    f.gateways = names.map((name) => f[name]);
    return f;
  }

  constructor(scene, { cache = {}, workers = 1, memory }) {
    this.scene = scene;
    this.cache = cache;
    this.workers = workers;
    this.memory = memory;
    this.gateways = [];
    this.pages = {}; // {path: body, or {body, headers}}
    this.probeCount = 0;
  }

  config(name, redis) {
    return {
      node: { name },
      workers: this.workers,
      pools: { p: { check: { type: 'none' }, circuit: { failures: 0 }, servers: [{ name: 'origin', url: this.origin.url }] } },
      routes: [{ name: 'all', path: '/', pool: 'p', cache: { policy: 'cache-first', fresh: '10m', wait: '10s', ...this.cache } }],
      ...(redis ? { cache: { ...(this.memory === undefined ? {} : { memory: this.memory }), redis: { timeout: '500ms', ...redis } } } : {}),
    };
  }

  // One more gateway; it is also there under its name.
  async add(name, redis) {
    this[name] = Object.assign(await this.scene.gateway(this.config(name, redis), { name }), { name });
    this.gateways.push(this[name]);
    return this[name];
  }

  #page({ method, path }) {
    const page = this.pages[path] ?? path;
    return reply(page.body ?? page, { headers: page.headers, isHead: method === 'HEAD' });
  }

  // How often the origin was asked for that path.
  asked(path) {
    return this.origin.requests.filter((request) => request.path === path).length;
  }

  // Waits until all workers have read the purge log: from then on they use Redis.
  async joined(gateways = this.gateways) {
    for (const g of gateways) await waitFor('all workers to use Redis', () => g.process.lines.filter((line) => line.includes('purge log caught up with')).length >= this.workers);
    return this;
  }

  // Waits until what `from` fetches is what `to` finds in Redis.
  shares(from, to, ms = 10000) {
    return waitFor('the gateways to share a Redis', async () => {
      const path = `/probe/${this.probeCount++}`;
      await ask(from, path);
      return cacheStatus(await ask(to, path)).includes('detail=l2');
    }, ms);
  }

  // Sum over all gateways.
  async sum(name, labels) {
    const all = await Promise.all(this.gateways.map(async (g) => (await g.metrics()).sum(name, labels)));
    return all.reduce((sum, n) => sum + n, 0);
  }
}

// Clients who ask without a pause, each for one path after the other, until stop() resolves with what they saw.
class Load {
  constructor(gateways, { clients = 4, paths = 20 } = {}) {
    this.answers = []; // {path, status, text, ms}, or {path, error}
    this.isOver = false;
    this.clients = Array.from({ length: clients }, (_, i) => this.#ask(gateways[i % gateways.length], i, paths));
  }

  async #ask(gateway, first, paths) {
    for (let i = first; !this.isOver; i++) {
      const path = `/load/${i % paths}`;
      const start = performance.now();
      try {
        const { status, text } = await ask(gateway, path);
        this.answers.push({ path, status, text, ms: performance.now() - start });
      } catch (error) {
        this.answers.push({ path, error });
      }
      await later(1); // the scene's own process has other things to do
    }
  }

  // Waits until that many more have been answered.
  async more(count = 50) {
    const wanted = this.answers.length + count;
    await waitFor(`${count} more answers`, () => this.answers.length >= wanted, 10000);
  }

  async stop() {
    this.isOver = true;
    await Promise.all(this.clients);
    return this.answers;
  }
}

module.exports = { Fleet, HOST, Load, ask, cacheStatus };
