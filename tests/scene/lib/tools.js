// Other people's programs: curl, nghttp, h2load, nginx, haproxy, nghttpd.
'use strict';

const { spawn } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { waitFor, within } = require('./wait');

// Runs one to its end; resolves with {code, stdout (Buffer), text, stderr}. `input`: what it reads.
async function tool(command, args, { input, ms = 30000 } = {}) {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  const parts = { stdout: [], stderr: [] };
  for (const name of ['stdout', 'stderr']) child[name].on('data', (part) => parts[name].push(part));
  child.stdin.on('error', () => {}); // it did not want all of it
  child.stdin.end(input);
  const ended = new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  const code = await within(ms, `${command} ${args.join(' ')}`, ended).finally(() => child.kill('SIGKILL'));
  const stdout = Buffer.concat(parts.stdout);
  return { code, stdout, text: stdout.toString(), stderr: Buffer.concat(parts.stderr).toString() };
}

// An object behind the arguments is tool()'s options.
function curl(...args) {
  const options = typeof args.at(-1) === 'object' ? args.pop() : {};
  return tool('curl', ['--silent', '--show-error', '--noproxy', '*', '--max-time', '60', ...args], options);
}

// nginx with one server; `body`: what stands in its server block, `http`: around it. {port, url, root}: files under `root` are served.
async function nginx(s, body = '', { http = '' } = {}) {
  const port = await s.freePort();
  const root = fs.mkdtempSync(path.join(s.temp(), 'nginx-'));
  const file = path.join(root, 'nginx.conf');
  const temps = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${path.join(root, 'temp')};`).join(' ');
  fs.writeFileSync(file, `
    daemon off; master_process off; pid ${path.join(root, 'pid')}; error_log stderr notice;
    events { worker_connections 1024; }
    http { access_log off; default_type text/plain; ${temps} ${http} server { listen 127.0.0.1:${port}; root ${root}; ${body} } }`);
  const p = await s.start({ name: 'nginx', command: '/usr/sbin/nginx', args: ['-p', root, '-e', 'stderr', '-c', file], ready: /using the "epoll" event method/ });
  return Object.assign(p, { port, root, url: `http://127.0.0.1:${port}` });
}

// haproxy that passes TCP on, each of `servers` (text behind "server NAME") from a port of its own, which are returned.
async function haproxy(s, servers) {
  const ports = await Promise.all(servers.map(() => s.freePort()));
  const listens = servers.map((server, i) => `listen l${i}\n  bind 127.0.0.1:${ports[i]}\n  server s${i} ${server}\n`);
  const file = path.join(fs.mkdtempSync(path.join(s.temp(), 'haproxy-')), 'haproxy.cfg');
  fs.writeFileSync(file, `defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 30s\n  timeout server 30s\n${listens.join('')}`);
  await s.start({ name: 'haproxy', command: '/usr/sbin/haproxy', args: ['-db', '-f', file] });
  for (const port of ports) await waitFor('haproxy to listen', async () => (await s.connect(port)).destroy() ?? true);
  return ports;
}

// nghttpd: HTTP/2 alone; with `tls` ({cert, key}) over TLS. Files under `root` are served.
async function nghttpd(s, { tls, args = [] } = {}) {
  const port = await s.freePort();
  const root = fs.mkdtempSync(path.join(s.temp(), 'nghttpd-'));
  const how = tls ? [String(port), tls.key, tls.cert] : ['--no-tls', String(port)];
  const p = await s.start({
    name: 'nghttpd', command: 'stdbuf', args: ['-oL', '/usr/sbin/nghttpd', '-v', '-a', '127.0.0.1', '-d', root, ...args, ...how], ready: /listen 127\.0\.0\.1/,
  });
  return Object.assign(p, { port, root, url: `${tls ? 'https' : 'http'}://127.0.0.1:${port}` });
}

module.exports = { curl, haproxy, nghttpd, nginx, tool };
