// A cache as a scene sees it: a gateway with one cached route, and behind it an origin that counts what it is asked.
'use strict';

const { Gateway } = require('./gateway');
const { request } = require('./http');
const { Origin, reply } = require('./origin');
const { waitFor } = require('./wait');

const NO_CHECK = { type: 'none' };

// What a Cache-Status field says of the gateway (RFC 9211): {hit: true, ttl: '59'}, {fwd: 'uri-miss', stored: true}, {..., detail: '...'}.
function told(headers) {
  const own = (headers['cache-status'] ?? '').split(',').pop();
  const [, ...words] = own.split(';').map((word) => word.trim());
  return Object.fromEntries(words.map((word) => {
    const [name, value = true] = word.split('=');
    return [name, value];
  }));
}

class Cached {
  // `cache`: the route's rules. `rest`: more of the configuration; `pool` and `route` in it are added to those of the scene. The origin says
  // "v1", "v2", ... with `headers` and `status`, which may change while the scene plays, unless `answer(request, raw)` says something else
  // (see lib/origin.js).
  static async start(s, cache, { answer, pool, route, headers = {}, ...rest } = {}) {
    const c = new Cached();
    c.headers = headers;
    c.origin = await Origin.start(s, async (asked, raw) => {
      if (c.held) await c.held;
      return answer ? answer(asked, raw) : c.#say(asked);
    });
    c.config = (rules = cache) => ({
      pools: { p: { check: NO_CHECK, circuit: { failures: 0 }, max_retries: 0, ...pool, servers: [{ name: 'a', url: c.origin.url }] } },
      routes: [{ name: 'all', path: '/', pool: 'p', cache: rules, ...route }],
      ...rest,
    });
    c.gateway = await Gateway.start(s, c.config());
    c.port = c.gateway.port;
    return c;
  }

  constructor() {
    this.status = 200;
    this.version = 0;
    this.held = null;
  }

  #say({ headers }) {
    const etag = this.headers.ETag;
    if (etag && headers['if-none-match'] === etag) return reply('', { status: 304, headers: { ...this.headers, 'Content-Length': null } });
    this.version++;
    return reply(`v${this.version}`, { status: this.status, headers: this.headers });
  }

  // From now on the origin keeps its answers to itself, until the function that is returned is called.
  hold() {
    let release;
    this.held = new Promise((resolve) => {
      release = resolve;
    });
    return () => {
      this.held = null;
      release();
    };
  }

  // The requests that reached the origin.
  get asked() {
    return this.origin.requests;
  }

  // One request of a client: {status, headers, text, json, told}.
  async ask(path = '/', headers = {}, options = {}) {
    const answer = await request({ port: this.port, path, headers, ...options });
    return { ...answer, told: told(answer.headers) };
  }

  // Asks until the answer is the one that is waited for.
  until(what, fact, path, headers) {
    return waitFor(what, async () => {
      const answer = await this.ask(path, headers);
      return fact(answer) && answer;
    });
  }

  // A counter of the route, without "cache_" and "_total".
  async counted(name) {
    return (await this.gateway.metrics()).sum(`cache_${name}_total`);
  }

  // Waits until a counter of the route is as high as that.
  counts(name, count, ms) {
    return waitFor(`cache_${name}_total to be ${count}`, async () => (await this.counted(name)) >= count, ms);
  }
}

// A promise and what resolves it.
function gate() {
  let open;
  const opened = new Promise((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

module.exports = { Cached, gate, told };
