// Child processes of a scene: started, watched line by line, and gone at the end whatever happens.
'use strict';

const { execFile, spawn } = require('node:child_process');
const path = require('node:path');
const { within } = require('./wait');

const LINES_KEPT = 20000;
const STOP_MS = 10000;
const LAST_WORDS_MS = 500;

// Whoever ends this test process early (a failed import, a timeout of the runner) must not leave children behind.
const running = new Set();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));

class Process {
  // `ready`: a line of output matching it means that the process serves; its match is kept as this.ready.
  static async start({ name, command, args = [], env = {}, ready, deadline = 10000 }) {
    const p = new Process(name, spawn(command, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] }));
    try {
      if (ready) p.ready = await Promise.race([p.line(ready, deadline), p.exited.then((how) => Promise.reject(new Error(`ended: ${how}`)))]);
    } catch (error) {
      const log = p.log();
      await p.kill();
      throw new Error(`${name} did not start: ${error.message}\n${log}`);
    }
    return p;
  }

  constructor(name, child) {
    this.name = name;
    this.child = child;
    this.pid = child.pid;
    this.lines = []; // the newest
    this.droppedCount = 0;
    this.waiting = new Set();
    this.isRunning = true;
    running.add(child);
    for (const stream of [child.stdout, child.stderr]) this.#follow(stream);
    this.exited = new Promise((resolve) => {
      const end = (how) => {
        running.delete(child);
        this.isRunning = false;
        resolve(how);
      };
      child.once('error', (error) => end(error.message));
      child.once('exit', (code, signal) => {
        this.code = code;
        this.signal = signal;
        this.isRunning = false;
        // Its last words may still be in the pipe, which 'close' is the end of; but children of its own can keep that open.
        const how = signal ?? `exit ${code}`;
        child.once('close', () => end(how));
        setTimeout(() => end(how), LAST_WORDS_MS).unref();
      });
    });
  }

  #follow(stream) {
    let rest = '';
    stream.setEncoding('utf8');
    stream.on('data', (text) => {
      const parts = (rest + text).split('\n');
      rest = parts.pop();
      for (const line of parts) {
        this.lines.push(line);
        if (this.lines.length > LINES_KEPT) {
          this.lines.shift();
          this.droppedCount++;
        }
        for (const look of this.waiting) look(line);
      }
    });
  }

  log() {
    return this.lines.map((line) => `  ${this.name}| ${line}`).join('\n');
  }

  // The match of the first line, past or to come, that matches. With `since` (see mark) only lines after it count.
  line(pattern, ms = 5000, since = 0) {
    for (const line of this.lines.slice(Math.max(since - this.droppedCount, 0))) {
      const match = line.match(pattern);
      if (match) return Promise.resolve(match);
    }
    let look;
    const found = new Promise((resolve) => {
      look = (line) => {
        const match = line.match(pattern);
        if (match) resolve(match);
      };
      this.waiting.add(look);
    });
    return within(ms, `${this.name}: a line like ${pattern}`, found).finally(() => this.waiting.delete(look));
  }

  // A place in the output, for line().
  mark() {
    return this.droppedCount + this.lines.length;
  }

  signalled(signal) {
    if (this.isRunning) this.child.kill(signal);
  }

  // Asks it to stop and waits; one that does not obey is killed, and that is an error.
  async stop(signal = 'SIGTERM') {
    if (!this.isRunning) return;
    this.signalled('SIGCONT');
    this.signalled(signal);
    try {
      await within(STOP_MS, `${this.name}: stop`, this.exited);
    } catch (error) {
      await this.kill();
      throw error;
    }
  }

  async kill() {
    this.signalled('SIGKILL');
    await this.exited;
  }
}

// Runs one of our programs to its end; resolves with {code, signal, stdout, stderr}.
function run(program, args = [], { env = {}, ms = 10000 } = {}) {
  const file = path.join(process.env.TIDEGATE_BUILD, program);
  return new Promise((resolve) => {
    execFile(file, args, { env: { ...process.env, ...env }, timeout: ms, killSignal: 'SIGKILL' }, (error, stdout, stderr) => {
      resolve({ code: error ? error.code : 0, signal: error?.signal ?? null, stdout, stderr });
    });
  });
}

module.exports = { Process, run };
