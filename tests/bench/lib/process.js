'use strict';
// Child processes of a benchmark: started on given cores, awaited until they listen, measured, and stopped for certain.
const { spawn } = require('node:child_process');
const fs = require('node:fs');
const net = require('node:net');

const running = new Set();
let isOver = false; // nothing is started any more

// Starts `command`, pinned to `cores` ("0", "0,1"; null: anywhere), with `env` beside the environment. Its stderr is kept for the case that it fails.
// `isTenant`: it has a session of its own. Among these the kernel shares a core (sched_autogroup, on in Debian, where no cgroup does); else it
// would by the thread, and a program with two of them get twice what another gets.
function start(command, args, { cores = null, cwd, stdin = 'ignore', env = {}, isTenant = false } = {}) {
  if (isOver) throw new Error('the run is over');
  const [file, argv] = cores === null ? [command, args] : ['taskset', ['-c', cores, command, ...args]];
  const child = spawn(file, argv, { cwd, stdio: [stdin, 'pipe', 'pipe'], env: { ...process.env, ...env }, detached: isTenant });
  child.label = command;
  child.errors = '';
  child.stderr.on('data', (data) => {
    child.errors = (child.errors + data).slice(-4000);
  });
  child.gone = new Promise((resolve) => {
    child.on('exit', (code, signal) => resolve({ code, signal }));
    child.on('error', (error) => {
      child.errors += error.message;
      resolve({ code: -1 });
    });
  });
  running.add(child);
  child.gone.then(() => running.delete(child));
  return child;
}

// Stops a process: asks, and after two seconds no longer asks.
async function stop(child) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), 2000);
  await child.gone;
  clearTimeout(timer);
}

async function stopAll(but = []) {
  await Promise.all([...running].filter((child) => !but.includes(child)).map(stop));
}

// The same for good: nothing that is still on its way starts anything any more.
async function end() {
  isOver = true;
  await stopAll();
}

// A port nobody listens on at the moment.
function freePort() {
  return new Promise((resolve, reject) => {
    const server = net.createServer();
    server.on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

function canConnect(port) {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1');
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function untilListening(child, port, timeoutMs = 10000) {
  const end = Date.now() + timeoutMs;
  for (;;) {
    if (await canConnect(port)) return;
    if (child.exitCode !== null || Date.now() > end)
      throw new Error(`${child.label} does not listen on port ${port}\n${child.errors}`);
    await pause(20);
  }
}

// The process and all its descendants.
function family(pid) {
  const pids = [pid];
  for (let i = 0; i < pids.length; i++) {
    for (const task of fs.readdirSync(`/proc/${pids[i]}/task`)) {
      const children = fs.readFileSync(`/proc/${pids[i]}/task/${task}/children`, 'utf8').trim();
      if (children !== '') pids.push(...children.split(' ').map(Number));
    }
  }
  return pids;
}

// Processor time the family has used, in microseconds. The kernel counts it in ticks of 10 ms; children that were reaped are
// in their parent's account.
function cpuMicroseconds(pid) {
  let ticks = 0;
  for (const one of family(pid)) {
    const stat = fs.readFileSync(`/proc/${one}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    ticks += Number(fields[11]) + Number(fields[12]) + Number(fields[13]) + Number(fields[14]);
  }
  return ticks * 10000;
}

// Processor time of all threads that are there, in nanoseconds. Finer than ticks, but what a thread has used goes with it.
function cpuNanoseconds(pid) {
  let sum = 0;
  for (const one of family(pid)) {
    for (const task of fs.readdirSync(`/proc/${one}/task`))
      sum += Number(fs.readFileSync(`/proc/${one}/task/${task}/schedstat`, 'utf8').split(' ')[0]);
  }
  return sum;
}

const DOUBT_US = 30000; // three ticks

const cpuReading = (pid) => ({ coarse_us: cpuMicroseconds(pid), fine_us: cpuNanoseconds(pid) / 1000 });

// What was used between two readings, in microseconds: by the finer ones, unless a thread that is gone has taken something with it.
function cpuBetween(before, after) {
  const coarse = after.coarse_us - before.coarse_us;
  const fine = after.fine_us - before.fine_us;
  return Math.abs(fine - coarse) <= DOUBT_US ? fine : coarse;
}

// Looks at a family's processor time ten times a second.
class Meter {
  constructor(pid) {
    this.readings = [];
    const look = () => this.readings.push({ s: performance.now() / 1000, cpu_us: cpuNanoseconds(pid) / 1000 });
    look();
    this.timer = setInterval(look, 100);
  }

  // What was used from `from` to `to` seconds before now, as near as the readings are.
  between(from, to) {
    const now = performance.now() / 1000;
    const at = (ago) => this.readings.reduce((best, one) => (Math.abs(now - ago - one.s) < Math.abs(now - ago - best.s) ? one : best));
    const [first, last] = [at(from), at(to)];
    return { cpu_us: last.cpu_us - first.cpu_us, seconds: last.s - first.s };
  }

  stop() {
    clearInterval(this.timer);
  }
}

// Proportional set size of the family in bytes: private pages, and its share of the shared ones. What the kernel holds for
// sockets is not in it.
function pssBytes(pid) {
  let sum = 0;
  for (const one of family(pid)) {
    const rollup = fs.readFileSync(`/proc/${one}/smaps_rollup`, 'utf8');
    sum += Number(/^Pss:\s+(\d+) kB/m.exec(rollup)[1]) * 1024;
  }
  return sum;
}

// The same once it holds still: two readings within one percent of each other, or the last one after five seconds.
async function settledPssBytes(pid) {
  let before = pssBytes(pid);
  for (let i = 0; i < 20; i++) {
    await pause(250);
    const now = pssBytes(pid);
    if (Math.abs(now - before) <= before / 100) return now;
    before = now;
  }
  return before;
}

module.exports = { start, stop, stopAll, end, freePort, untilListening, cpuReading, cpuBetween, settledPssBytes, Meter };
