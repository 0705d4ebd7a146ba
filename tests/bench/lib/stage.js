'use strict';
// A stage: one backend, the programs under test in front of it, and load runs against them.
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const readline = require('node:readline');
const processes = require('./process.js');
const { peers, program } = require('./peers.js');

// The proxy has a core to itself; load and backend share the other, so that a faster proxy cannot be hidden behind them.
const PROXY_CORE = '0';
const LOAD_CORE = '1';

class Stage {
  static async open() {
    const stage = new Stage();
    stage.dir = fs.mkdtempSync(path.join(os.tmpdir(), 'tidegate-bench-'));
    // workers that gave up their privileges must reach their files
    fs.chmodSync(stage.dir, 0o755);
    stage.backend = await processes.freePort();
    const server = processes.start(program('tidegate-bench'), ['--serve', `127.0.0.1:${stage.backend}`], {
      cores: LOAD_CORE,
    });
    await processes.untilListening(server, stage.backend);
    return stage;
  }

  async close() {
    await processes.stopAll();
    fs.rmSync(this.dir, { recursive: true, force: true });
  }

  // Starts one of the peers; { child, port }. With one worker it is pinned to its core.
  async start(name, workers, connections) {
    const dir = fs.mkdtempSync(path.join(this.dir, `${name}-`));
    fs.chmodSync(dir, 0o755);
    const port = await processes.freePort();
    const [command, args] = peers[name].command({ dir, port, backend: this.backend, workers, connections });
    const child = processes.start(command, args, { cores: workers === 1 ? PROXY_CORE : null, cwd: dir });
    await processes.untilListening(child, port);
    return { name, child, port };
  }

  // One run of the load tester; its findings as an object.
  async load(port, args) {
    const child = processes.start(program('tidegate-bench'), ['--connect', `127.0.0.1:${port}`, '--json', ...args], {
      cores: LOAD_CORE,
    });
    return this.#finish(child, this.#lines(child));
  }

  // Opens connections and holds them while `inspect` runs; findings plus what it returned.
  async hold(port, args, inspect) {
    const child = processes.start(
      program('tidegate-bench'),
      ['--connect', `127.0.0.1:${port}`, '--json', '--mode', 'hold', '--seconds', '120', ...args],
      { cores: LOAD_CORE, stdin: 'pipe' },
    );
    const lines = this.#lines(child);
    const first = await lines.next();
    let inspected = null;
    try {
      if (!first.done && first.value.startsWith('open=')) inspected = await inspect();
    } finally {
      child.stdin.end();
    }
    return { ...(await this.#finish(child, lines)), inspected };
  }

  #lines(child) {
    return readline.createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  }

  async #finish(child, lines) {
    for (let line = await lines.next(); !line.done; line = await lines.next()) {
      if (line.value.startsWith('{')) {
        await child.gone;
        return JSON.parse(line.value);
      }
    }
    throw new Error(`tidegate-bench ended without a result\n${child.errors}`);
  }
}

module.exports = { Stage };
