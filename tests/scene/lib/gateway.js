// Tidegate as a scene sees it: started with a configuration of the scene's own, ready when its admin process says so.
'use strict';

const fs = require('node:fs');
const path = require('node:path');
const { get } = require('./http');
const { Metrics } = require('./metrics');
const { run } = require('./process');
const { waitFor } = require('./wait');

const READY_MS = 15000;

class Gateway {
  // `config`: an object (YAML has JSON inside), text, or a function of {port, adminPort, folder} that returns either. What an object leaves
  // out (listen, admin, control, log) is filled in. `shell`: a command line that starts "$0" "$@" in its own place.
  static async start(scene, config, { name = 'gateway', args = [], env = {}, isReady = true, shell } = {}) {
    const folder = fs.mkdtempSync(path.join(scene.temp(), `${name}-`));
    const g = new Gateway({ port: await scene.freePort(), adminPort: await scene.freePort(), folder });
    g.write(config);
    const line = [...(shell ? ['/bin/sh', '-c', shell] : []), path.join(process.env.TIDEGATE_BUILD, 'tidegate'), '-c', g.file, ...args];
    g.process = await scene.start({ name, command: line[0], args: line.slice(1), env });
    g.pid = g.process.pid;
    if (isReady) await g.ready();
    return g;
  }

  constructor({ port, adminPort, folder }) {
    this.port = port;
    this.adminPort = adminPort;
    this.folder = folder;
    this.file = path.join(folder, 'tidegate.yaml');
    this.control = path.join(folder, 'control.sock');
    this.url = `ws://127.0.0.1:${port}`;
  }

  write(config) {
    const own = typeof config === 'function' ? config(this) : config;
    const text = typeof own === 'string' ? own : JSON.stringify(this.#complete(own), null, 2);
    fs.writeFileSync(`${this.file}.new`, `${text}\n`);
    fs.renameSync(`${this.file}.new`, this.file); // nobody reads half a file
  }

  #complete(config) {
    return {
      node: { name: 'scene' },
      workers: 1,
      listen: [{ address: `127.0.0.1:${this.port}` }],
      admin: { address: `127.0.0.1:${this.adminPort}` },
      control: { path: this.control },
      ...config,
      log: { level: 'debug', ...config.log },
    };
  }

  async ready(ms = READY_MS) {
    const answers = waitFor('the gateway to be ready', async () => (await get(this.adminPort, '/readyz')).status === 200, ms);
    const ended = this.process.exited.then((how) => Promise.reject(new Error(`the gateway ended: ${how}`)));
    try {
      await Promise.race([answers, ended]);
    } catch (error) {
      answers.catch(() => {}); // still looking, in vain
      throw error;
    } finally {
      ended.catch(() => {}); // it ends sooner or later
    }
  }

  // Writes the new configuration and has it taken; resolves with the line that says so, and rejects when it was refused.
  async reload(config, ms = 5000) {
    const mark = this.process.mark();
    this.write(config);
    this.process.signalled('SIGHUP');
    const [line] = await this.process.line(/.*(configuration reloaded|reload failed).*/, ms, mark);
    if (line.includes('reload failed')) throw new Error(line);
    return line;
  }

  async admin(path_) {
    const answer = await get(this.adminPort, path_);
    return answer.json ?? answer.text;
  }

  status() {
    return this.admin('/status');
  }

  async metrics() {
    return new Metrics((await get(this.adminPort, '/metrics')).text);
  }

  // Those of its processes that run, by name ("worker-0", "checker"): {pid, state, restarts, ...}.
  async processes() {
    const { processes } = await this.status();
    const running = processes.filter((p) => p.pid > 0);
    return Object.fromEntries(running.map((p) => [p.role === 'worker' ? `worker-${p.index}` : p.role, p]));
  }

  // tidegatectl on this gateway: {code, stdout, stderr}.
  ctl(...args) {
    return run('tidegatectl', ['-s', this.control, ...args]);
  }

  health() {
    return get(this.adminPort, '/health');
  }

  stop(signal) {
    return this.process.stop(signal);
  }
}

module.exports = { Gateway };
