'use strict';
// Who is compared: one row per program, with the least configuration that relays WebSockets and has the descriptors for it.
const fs = require('node:fs');
const path = require('node:path');

const build = path.resolve(process.env.TIDEGATE_BUILD);
const program = (name) => path.join(build, name);

function write(dir, name, text) {
  const file = path.join(dir, name);
  fs.writeFileSync(file, text);
  return file;
}

// Each gets { dir, port, backend, workers } and says what to run.
const peers = {
  raw: {
    title: 'plain relay',
    command: ({ port, backend }) => [program('relay-raw'), [`127.0.0.1:${port}`, `127.0.0.1:${backend}`]],
    maxWorkers: 1,
  },

  nginx: {
    title: 'nginx',
    command: ({ dir, port, backend, workers }) => {
      const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
        .map((kind) => `  ${kind}_temp_path ${dir}/${kind};`)
        .join('\n');
      const file = write(dir, 'nginx.conf', `
worker_processes ${workers};
daemon off;
pid ${dir}/nginx.pid;
error_log stderr warn;
events { worker_connections 30000; }
http {
  access_log off;
${temporary}
  upstream backend { server 127.0.0.1:${backend}; }
  server {
    listen 127.0.0.1:${port} reuseport backlog=4096;
    location / {
      proxy_pass http://backend;
      proxy_http_version 1.1;
      proxy_set_header Host $host;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection "upgrade";
      proxy_read_timeout 1h;
      proxy_send_timeout 1h;
    }
  }
}
`);
      return ['nginx', ['-p', dir, '-e', 'stderr', '-c', file]];
    },
  },

  haproxy: {
    title: 'HAProxy',
    // One process with threads: all descriptors count against one limit.
    isOneProcess: true,
    command: ({ dir, port, backend, workers, connections }) => {
      const file = write(dir, 'haproxy.cfg', `
global
  nbthread ${workers}
  maxconn ${connections}
defaults
  mode http
  timeout connect 5s
  timeout client 1h
  timeout server 1h
  timeout tunnel 1h
frontend front
  bind 127.0.0.1:${port} backlog 4096
  default_backend back
backend back
  server one 127.0.0.1:${backend}
`);
      return ['haproxy', ['-db', '-f', file]];
    },
  },

  tidegate: {
    title: 'Tidegate',
    command: ({ dir, port, backend, workers }) => {
      const file = write(dir, 'tidegate.yaml', `
node: { name: bench, region: local }
workers: ${workers}
state_dir: ""
log: { level: warn, access: false }
listen:
  - { address: "127.0.0.1:${port}", backlog: 4096 }
limits: { connections: 30000, per_client: 0 }
pools:
  echo:
    check: { type: tcp, interval: 1s, timeout: 500ms }
    servers: [ { name: one, url: "ws://127.0.0.1:${backend}" } ]
routes:
  - { path: /, pool: echo }
`);
      return [program('tidegate'), ['-c', file]];
    },
  },
};

const isThere = (name) => name !== 'tidegate' || fs.existsSync(program('tidegate-worker'));

module.exports = { peers, program, isThere };
