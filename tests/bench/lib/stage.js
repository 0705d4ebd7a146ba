'use strict';
// A stage: one backend, the programs under test in front of it, and load runs against them.
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const readline = require('node:readline');
const { execFileSync } = require('node:child_process');
const processes = require('./process.js');
const { program, write } = require('./files.js');
const { Origin } = require('./origin.js');
const { measureShare } = require('./cores.js');
const { peers } = require('./peers.js');

// The proxy has a core to itself; load and backend share the other, so that a faster proxy cannot be hidden behind them.
const PROXY_CORE = '0';
const LOAD_CORE = '1';
// closing thousands of connections is no part of what a message costs, and neither is opening them
const METER_MARGIN_S = 0.4;
const DNSPERF = ['-c', 16, '-T', 1, '-q', 200]; // sixteen sockets, 200 queries under way in all

// What the load testers offer. Some servers take the client's first choice and some their own, and half of the work of a large
// message is its cipher: with one that browsers offer first and all know, all do the same work.
const CIPHER = 'TLS_AES_128_GCM_SHA256';
const OPENSSL_CONF = `openssl_conf = all\n[all]\nssl_conf = ssl\n[ssl]\nsystem_default = offered\n[offered]\nCiphersuites = ${CIPHER}\n`;

// A key and a certificate of it that nobody vouches for: what TLS costs depends on the kind of key alone. ECDSA over P-256.
function makeCertificate(dir) {
  const tls = { cert: path.join(dir, 'cert.pem'), key: path.join(dir, 'key.pem'), both: path.join(dir, 'both.pem') };
  execFileSync('openssl', [
    'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '30',
    '-subj', '/CN=bench.example', '-addext', 'subjectAltName=DNS:bench.example', '-keyout', tls.key, '-out', tls.cert,
  ], { stdio: 'pipe' });
  fs.writeFileSync(tls.both, fs.readFileSync(tls.cert, 'utf8') + fs.readFileSync(tls.key, 'utf8'), { mode: 0o600 });
  return tls;
}

// The load tester's own words for what a run asks for: where and over what is in the URL, and nobody vouches for the certificate.
// Channels are pushed on with an event that the backend answers with what it was given.
function loadArguments(port, args) {
  const [rest, flags] = [[], new Set()];
  let target = '/';
  for (let i = 0; i < args.length; i++) {
    if (['--http', '--tls'].includes(args[i])) flags.add(args[i]);
    else if (args[i] === '--path') target = args[++i];
    else rest.push(args[i] === '--pace' ? '--rate' : args[i]);
  }
  const scheme = `${flags.has('--http') ? 'http' : 'ws'}${flags.has('--tls') ? 's' : ''}`;
  return [`${scheme}://127.0.0.1:${port}${target}`, '--json', '--insecure', ...(args.includes('--channels') ? ['--event', 'say'] : []), ...rest];
}

// What it found, in the words of the results: microseconds, and an answer with an error status is as bad as none.
function found(report) {
  const us = Object.entries({
    latency_p50_us: 'p50_ms', latency_p99_us: 'p99_ms', latency_max_us: 'max_ms', handshake_p50_us: 'connect_p50_ms', handshake_p99_us: 'connect_p99_ms',
  }).map(([key, ms]) => [key, report[ms] * 1000]);
  return { ...report, ...Object.fromEntries(us), dropped: report.dropped + report.errors_answer };
}

class Stage {
  static async open() {
    const stage = new Stage();
    stage.dir = fs.mkdtempSync(path.join(os.tmpdir(), 'tidegate-bench-'));
    stage.memory = fs.mkdtempSync('/dev/shm/tidegate-bench-'); // a tmpfs
    // workers that gave up their privileges must reach their files
    for (const dir of [stage.dir, stage.memory]) fs.chmodSync(dir, 0o755);
    stage.tls = makeCertificate(stage.dir);
    stage.env = { OPENSSL_CONF: write(stage.dir, 'openssl.cnf', OPENSSL_CONF) };
    stage.backend = await processes.freePort();
    stage.server = processes.start(program('tidegate-bench'), ['--serve', `127.0.0.1:${stage.backend}`], {
      cores: LOAD_CORE,
    });
    await processes.untilListening(stage.server, stage.backend);
    return stage;
  }

  // The origin of the caches; there is one.
  async openOrigin() {
    this.origin ??= await Origin.open();
    return this.origin;
  }

  // Stops what a failed benchmark has left running.
  async clear() {
    await processes.stopAll([this.server]);
  }

  async close() {
    this.isClosed = true;
    await processes.end();
    await this.origin?.close();
    for (const dir of [this.dir, this.memory]) fs.rmSync(dir, { recursive: true, force: true });
  }

  // Starts one of the peers; { child, port }. With one worker it is pinned to its core.
  async start(name, workers, connections, isSecure = false) {
    return this.#start(name, peers[name].command, { backend: this.backend, workers, connections, isSecure });
  }

  // Starts one of the peers as a cache of what listens on port `backend`; `more` is for its configuration.
  async startCache(name, backend, connections, isSecure = false, more = {}) {
    return this.#start(name, peers[name].cache, { backend, workers: 1, connections, isSecure, ...more });
  }

  // Gives the core of the proxy a second tenant who never rests. A name server is faster than dnsperf: only with half a core
  // is it the one that says how many answers there are.
  occupy() {
    return processes.start('sh', ['-c', 'while :; do :; done'], { cores: PROXY_CORE, isTenant: true });
  }

  // What is left of the proxy's core while the other one is busy.
  coreShare() {
    return measureShare(PROXY_CORE, LOAD_CORE);
  }

  // Starts one of the peers as a name server.
  async startNames(name) {
    return this.#start(name, peers[name].names, { workers: 1 });
  }

  async #start(name, command, { workers, isSecure, ...more }) {
    const [dir, memory] = [this.dir, this.memory].map((parent) => fs.mkdtempSync(path.join(parent, `${name}-`)));
    for (const one of [dir, memory]) fs.chmodSync(one, 0o755);
    const port = await processes.freePort();
    const [file, args] = command({ dir, memory, port, workers, tls: isSecure ? this.tls : null, ...more });
    const child = processes.start(file, args, { cores: workers === 1 ? PROXY_CORE : null, cwd: dir, isTenant: true });
    await processes.untilListening(child, port);
    return { name, child, port };
  }

  // One run of the load tester; its findings as an object.
  async load(port, args) {
    return this.#finish(...this.#begin(port, args));
  }

  // The same while a meter runs on a peer's process; findings plus `used`, of the measured part without its first and last
  // moments: { cpu_us, seconds }.
  async loadMetered(port, args, peer) {
    const meter = new processes.Meter(peer.pid);
    try {
      const result = await this.#finish(...this.#begin(port, args));
      return { ...result, used: meter.between(result.measured_seconds - METER_MARGIN_S, METER_MARGIN_S) };
    } finally {
      meter.stop();
    }
  }

  #begin(port, args) {
    const child = processes.start(program('tidegate-bench'), loadArguments(port, args), {
      cores: LOAD_CORE, env: this.env,
    });
    return [child, this.#lines(child)];
  }

  // One run of h2load; what it found, in the words of the load tester.
  async loadHttp2(port, { connections, streams, seconds, isSecure = true, path: target = '/' }) {
    const url = `${isSecure ? 'https' : 'http'}://127.0.0.1:${port}${target}`;
    const child = processes.start(
      'h2load',
      ['-c', connections, '-m', streams, '-t', 1, '-D', seconds, '-H', 'accept: */*', `--tls13-ciphers=${CIPHER}`, url].map(String),
      { cores: LOAD_CORE },
    );
    let text = '';
    for await (const piece of child.stdout) text += piece;
    const number = (pattern) => Number(pattern.exec(text)?.[1] ?? NaN);
    const done = number(/(\d+) succeeded/);
    if (!(done > 0) || !/Application protocol: h2c?/.test(text)) throw new Error(`h2load: no result\n${text}${child.errors}`);
    return {
      round_trips_per_second: number(/finished in [^,]*, ([\d.]+) req\/s/),
      echoes: done,
      failed: number(/(\d+) failed/),
      dropped: number(/(\d+) errored/),
      first_error: '',
    };
  }

  // One run of dnsperf with these queries, over again and again: what it found, in the words of the load tester.
  async loadNames(port, { queries, seconds, isTcp = false }) {
    const file = path.join(this.dir, 'queries');
    fs.writeFileSync(file, `${queries.join('\n')}\n`);
    const child = processes.start(
      'dnsperf',
      ['-s', '127.0.0.1', '-p', port, '-m', isTcp ? 'tcp' : 'udp', '-d', file, '-l', seconds, '-e', ...DNSPERF].map(String),
      { cores: LOAD_CORE },
    );
    let text = '';
    for await (const piece of child.stdout) text += piece;
    const number = (pattern) => Number(pattern.exec(text)?.[1] ?? NaN);
    const done = number(/Queries completed:\s+(\d+)/);
    if (!(done > 0)) throw new Error(`dnsperf: no result\n${text.replace(/^\[Timeout\].*\n/gm, '')}${child.errors}`);
    const wrong = [...text.matchAll(/(\w+) (\d+) \(/g)].filter(([, code]) => ['SERVFAIL', 'REFUSED', 'FORMERR'].includes(code));
    return {
      round_trips_per_second: number(/Queries per second:\s+([\d.]+)/),
      latency_mean_us: number(/Average Latency \(s\):\s+([\d.]+)/) * 1e6,
      answer_bytes: number(/response (\d+)/),
      echoes: done,
      failed: wrong.reduce((sum, [, , count]) => sum + Number(count), 0),
      dropped: number(/Queries lost:\s+(\d+)/),
      first_error: wrong.map(([all]) => all).join(),
    };
  }

  // Opens connections and holds them while `inspect` runs; findings plus what it returned.
  async hold(port, args, inspect) {
    return this.#whileOpen(port, ['--mode', 'hold', ...args], inspect);
  }

  // Opens connections that listen while `play(say)` runs, which may say lines to the load tester.
  async listen(port, args, play) {
    return this.#whileOpen(port, ['--mode', 'listen', ...args], play);
  }

  async #whileOpen(port, args, inspect) {
    const child = processes.start(
      program('tidegate-bench'), loadArguments(port, ['--seconds', '120', ...args]), { cores: LOAD_CORE, env: this.env, stdin: 'pipe' },
    );
    const lines = this.#lines(child);
    const first = await lines.next();
    let inspected = null;
    try {
      if (!first.done && first.value.startsWith('open=')) inspected = await inspect((line) => child.stdin.write(`${line}\n`));
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
        return found(JSON.parse(line.value));
      }
    }
    throw new Error(`tidegate-bench ended without a result\n${child.errors}`);
  }
}

module.exports = { Stage };
