'use strict';
// What was measured, and on what: asked of the programs themselves.
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { spawnSync } = require('node:child_process');
const { program } = require('./files.js');

// How to ask, and where in the answer (on whatever stream) the version stands. gdnsd and dnsperf tell it while they complain.
const asked = {
  nginx: ['nginx', ['-v'], /nginx\/(\S+)/],
  HAProxy: ['haproxy', ['-v'], /version (\d[\d.]*)/],
  Caddy: ['caddy', ['version'], /^v?(\d\S*)/],
  Varnish: ['varnishd', ['-V'], /varnish-(\S+)/],
  gdnsd: ['gdnsd', ['-h'], /version (\S+)/],
  Knot: ['knotd', ['-V'], /version (\S+)/],
  dnsperf: ['dnsperf', ['-h'], /Version (\S+)/i],
  h2load: ['h2load', ['--version'], /nghttp2\/(\S+)/],
  Redis: ['redis-server', ['--version'], /v=(\S+)/],
  OpenSSL: ['openssl', ['version'], /OpenSSL (\S+)/],
  gcc: ['gcc', ['--version'], /(\d+\.\d+\.\d+)$/m],
};

function firstMatch([command, args, pattern], cwd) {
  const { stdout, stderr } = spawnSync(command, args, { cwd, encoding: 'utf8', timeout: 5000 });
  return pattern.exec(`${stdout ?? ''}${stderr ?? ''}`)?.[1] ?? null;
}

const known = new Map();
// "nginx 1.22.1" for each of the names that is there.
function versionsOf(names) {
  for (const name of names.filter((n) => !known.has(n) && n in asked)) known.set(name, firstMatch(asked[name]));
  return names.filter((name) => known.get(name)).map((name) => `${name} ${known.get(name)}`);
}

// The commit that was built, with "-dirty" when it was not only that; the number of the version without a repository.
function tidegateVersion() {
  const here = path.join(__dirname, '..');
  return firstMatch(['git', ['describe', '--always', '--tags', '--dirty'], /^(\S+)$/m], here) ?? firstMatch([program('tidegate'), ['--version'], /(\S+)$/m]);
}

function machine() {
  const hypervisor = /^flags.*\bhypervisor\b/m.test(fs.readFileSync('/proc/cpuinfo', 'utf8')) ? ' (virtual)' : '';
  const memory = Math.round(os.totalmem() / 2 ** 30);
  return `${os.cpus()[0].model.trim()}${hypervisor}, ${os.cpus().length} cores, ${memory} GiB, Linux ${/^[\d.]*\d/.exec(os.release())[0]}`;
}

module.exports = { versionsOf, tidegateVersion, machine };
