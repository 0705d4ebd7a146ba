// The example backend (tests/region) as a scene sees it.
'use strict';

const path = require('node:path');
const { request } = require('./http');

class Region {
  // options: name, redis (url), knobs ({name: value}), port (to come back on the same one).
  static async start(scene, { name = 'region', redis, knobs = {}, port } = {}) {
    const args = ['--listen', `127.0.0.1:${port ?? (await scene.freePort())}`, '--name', name];
    if (redis) args.push('--redis', redis);
    for (const [knob, value] of Object.entries(knobs)) args.push('--knob', `${knob}=${value}`);
    const process_ = await scene.start({
      name,
      command: path.join(process.env.TIDEGATE_BUILD, 'region'),
      args,
      ready: /^region ready name=\S+ port=(\d+)$/,
    });
    return new Region(name, process_);
  }

  constructor(name, process_) {
    this.name = name;
    this.process = process_;
    this.pid = process_.pid;
    this.port = Number(process_.ready[1]);
    this.url = `ws://127.0.0.1:${this.port}`;
  }

  async ask(path_, options = {}) {
    const answer = await request({ port: this.port, path: path_, ...options });
    if (answer.status !== 200) throw new Error(`${this.name}${path_}: ${answer.status} ${answer.text}`);
    return answer.json;
  }

  // Sets knobs; `once` applies close and frame to what is open now and forgets them.
  knobs(values, { once = false } = {}) {
    const query = new URLSearchParams(values);
    if (once) query.set('once', '1');
    return this.ask(`/_knobs?${query}`, { method: 'POST' });
  }

  clearKnobs() {
    return this.ask('/_knobs?clear=1', { method: 'POST' });
  }

  // The head of the newest request whose target contains `match`, as it came: {method, target, path, headers, lines}; null when there is none.
  lastRequest(match = '') {
    return this.ask(`/_last_request?match=${encodeURIComponent(match)}`);
  }

  // The channels that are joined here: {topic, join_ref, key, private, changes, ready, token}.
  channels() {
    return this.ask('/_channels');
  }

  // What a server does of its own accord to the channels of a topic, or to all: close, error, lose, rate, presence, expire, revoke,
  // changes, disconnect. Resolves with how many it met.
  async trouble(what, topic = '') {
    return (await this.ask(`/_channels?${new URLSearchParams({ do: what, topic })}`, { method: 'POST' })).channels;
  }

  // Adds rows to a table, changes or removes those the query names; resolves with the rows.
  async rows(method, table, body, query = '') {
    const answer = await request({ port: this.port, path: `/rest/v1/${table}${query}`, method, body });
    if (answer.status >= 300) throw new Error(`${method} ${table}: ${answer.status} ${answer.text}`);
    return answer.json;
  }

  // A broadcast as the database sends them; they have an id, and private channels may ask for what they missed.
  async broadcast(topic, event, payload) {
    const { status } = await request({ port: this.port, path: '/api/broadcast', method: 'POST', body: { messages: [{ topic, event, payload, private: true }] } });
    if (status !== 202) throw new Error(`${this.name}: a broadcast was answered with ${status}`);
  }

  // {requests, upgrades, messages, joins, open, cluster}
  stats() {
    return this.ask('/_stats');
  }

  kill() {
    return this.process.kill();
  }

  stop() {
    return this.process.stop();
  }

  freeze() {
    this.process.signalled('SIGSTOP');
  }

  thaw() {
    this.process.signalled('SIGCONT');
  }
}

module.exports = { Region };
