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

  // {requests, upgrades, messages, open, cluster}
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
