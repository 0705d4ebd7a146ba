// Network namespaces: hosts of a scene's own, with wires between them that can be cut. A namespace has no name and lives as long as the
// process that holds it, so that nothing of it is left behind however a scene ends.
'use strict';

const { execFile, spawnSync } = require('node:child_process');
const { promisify } = require('node:util');

const run = promisify(execFile);

// Why there can be none here; undefined when there can.
function whyNoNetns() {
  const { status, error, stderr } = spawnSync('unshare', ['-n', 'ip', 'link', 'add', 'v0', 'type', 'veth', 'peer', 'name', 'v1'], { encoding: 'utf8' });
  return status === 0 ? undefined : `no network namespaces here: ${error?.message ?? stderr.trim()}`;
}

class Namespace {
  static async create(s, name) {
    const holder = await s.start({ name, command: 'unshare', args: ['-n', '/bin/sh', '-c', 'ip link set lo up && echo ready && exec sleep 600'], ready: /^ready$/ });
    return new Namespace(s, name, holder.pid);
  }

  constructor(scene, name, pid) {
    this.scene = scene;
    this.name = name;
    this.pid = pid;
    this.wireCount = 0;
  }

  get #within() {
    return ['-t', String(this.pid), '-n', '--'];
  }

  // For the `shell` of s.gateway().
  get shell() {
    return `exec nsenter ${this.#within.join(' ')} "$0" "$@"`;
  }

  // As s.start(), in here.
  start({ command, args = [], ...more }) {
    return this.scene.start({ command: 'nsenter', args: [...this.#within, command, ...args.map(String)], ...more });
  }

  // Runs a program to its end; what it said.
  async run(command, ...args) {
    return (await run('nsenter', [...this.#within, command, ...args], { timeout: 10000 })).stdout;
  }

  ip(...words) {
    return this.run('ip', ...words);
  }

  // A wire to another namespace: {near, far} are the addresses of both, 10.77.<number>.1 and .2.
  async wire(other, number) {
    const [here, there] = [`w${number}a`, `w${number}b`];
    const w = { near: `10.77.${number}.1`, far: `10.77.${number}.2` };
    await this.ip('link', 'add', here, 'type', 'veth', 'peer', 'name', there, 'netns', String(other.pid));
    for (const [ns, device, address] of [[this, here, w.near], [other, there, w.far]]) {
      await ns.ip('addr', 'add', `${address}/24`, 'dev', device);
      await ns.ip('link', 'set', device, 'up');
    }
    // Unplugged: both ends see that there is nothing any more.
    w.unplug = () => other.ip('link', 'set', there, 'down');
    w.plug = () => other.ip('link', 'set', there, 'up');
    // What we send arrives, but nothing comes back, and nobody is told.
    w.lose = () => other.ip('route', 'add', 'blackhole', `${w.near}/32`);
    w.find = () => other.ip('route', 'del', 'blackhole', `${w.near}/32`);
    // Our own table says that there is no way.
    w.forbid = () => this.ip('route', 'add', 'unreachable', `${w.far}/32`);
    w.allow = () => this.ip('route', 'del', 'unreachable', `${w.far}/32`);
    return w;
  }
}

module.exports = { Namespace, whyNoNetns };
