'use strict';
// Who is compared: one row per program, with the least configuration that relays WebSockets and requests, keeps connections
// on both sides, and has the descriptors for it. With `tls` it is reached over TLS, HTTP/2 offered.
const fs = require('node:fs');
const { caches } = require('./caches.js');
const { nameservers } = require('./nameservers.js');
const { program, write } = require('./files.js');

// Each `command` gets { dir, port, backend, workers, connections, tls } and says what to run; `tls` is null or
// { cert, key, both }, paths of PEM files. `cache` says it for the program as a cache (caches.js), `names` for
// one that answers DNS (nameservers.js).
const peers = {
  raw: {
    title: 'plain relay',
    command: ({ port, backend }) => [program('relay-raw'), [`127.0.0.1:${port}`, `127.0.0.1:${backend}`]],
    maxWorkers: 1,
    isBlind: true, // to TLS, HTTP and everything else
  },

  nginx: {
    title: 'nginx',
    cache: caches.nginx,
    command: ({ dir, port, backend, workers, connections, tls }) => {
      const secure = tls === null ? '' : `
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_certificate ${tls.cert};
    ssl_certificate_key ${tls.key};`;
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
  map $http_upgrade $connection_field { default upgrade; '' ''; }
  upstream backend {
    server 127.0.0.1:${backend};
    keepalive ${connections};
    keepalive_requests 1000000000;
  }
  server {
    listen 127.0.0.1:${port}${tls === null ? '' : ' ssl http2'} reuseport backlog=4096;${secure}
    keepalive_requests 1000000000;
    keepalive_timeout 1h;
    location / {
      proxy_pass http://backend;
      proxy_http_version 1.1;
      proxy_set_header Host $host;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_field;
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
    cache: caches.haproxy,
    // One process with threads: all descriptors count against one limit. Of them only a quarter may be kept connections to
    // the server, so the limit is not a tight one.
    isOneProcess: true,
    command: ({ dir, port, backend, workers, connections, tls }) => {
      const secure = tls === null ? '' : ` ssl crt ${tls.both} alpn h2,http/1.1`;
      const file = write(dir, 'haproxy.cfg', `
global
  nbthread ${workers}
  maxconn ${Math.max(connections, 5000)}
defaults
  mode http
  timeout connect 5s
  timeout client 1h
  timeout server 1h
  timeout tunnel 1h
frontend front
  bind 127.0.0.1:${port}${secure} backlog 4096
  default_backend back
backend back
  server one 127.0.0.1:${backend}
`);
      return ['haproxy', ['-db', '-f', file]];
    },
  },

  caddy: {
    title: 'Caddy',
    isOneProcess: true,
    hasLargeConnections: true, // 32 KiB of buffer for each direction of a WebSocket
    // As many threads as run at a time: more of them would share the core.
    command: ({ dir, port, backend, workers, connections, tls }) => {
      const transport = { protocol: 'http', compression: false, keep_alive: { max_idle_conns_per_host: connections, idle_timeout: '1h' } };
      const server = {
        listen: [`127.0.0.1:${port}`],
        idle_timeout: '1h',
        automatic_https: { disable: true },
        routes: [{ handle: [{ handler: 'reverse_proxy', transport, upstreams: [{ dial: `127.0.0.1:${backend}` }] }] }],
        ...(tls === null ? {} : { tls_connection_policies: [{ default_sni: 'bench.example' }] }),
      };
      const certificates = tls === null ? {} : { tls: { certificates: { load_files: [{ certificate: tls.cert, key: tls.key }] } } };
      const config = {
        admin: { disabled: true, config: { persist: false } },
        logging: { logs: { default: { level: 'ERROR' } } },
        apps: { http: { grace_period: '1s', servers: { bench: server } }, ...certificates },
      };
      const file = write(dir, 'caddy.json', JSON.stringify(config));
      return ['env', [`GOMAXPROCS=${workers}`, `HOME=${dir}`, 'caddy', 'run', '--config', file]];
    },
  },

  varnish: {
    title: 'Varnish',
    hasNoTls: true,
    cache: caches.varnish,
  },

  gdnsd: { title: 'gdnsd', names: nameservers.gdnsd },

  knot: { title: 'Knot', names: nameservers.knot },

  tidegate: {
    title: 'Tidegate',
    names: nameservers.tidegate,
    cache: caches.tidegate,
    command: ({ dir, port, backend, workers, connections, tls }) => {
      const secure = tls === null ? '' : `, tls: { certificates: [ { cert: ${tls.cert}, key: ${tls.key} } ] }`;
      const file = write(dir, 'tidegate.yaml', `
node: { name: bench, region: local }
workers: ${workers}
state_dir: ""
control: { path: "" }
log: { level: warn, access: false }
listen:
  - { address: "127.0.0.1:${port}", backlog: 4096${secure} }
limits: { connections: 30000, per_client: 0, keepalive_timeout: 1h }
pools:
  echo:
    check: { type: tcp, interval: 1s, timeout: 500ms }
    keepalive: { connections: ${Math.min(connections, 10000)}, time: 1h }
    servers: [ { name: one, url: "http://127.0.0.1:${backend}" } ]
routes:
  - { path: /session, pool: echo, websocket: { protocol: phoenix } }
  - { path: /, pool: echo }
`);
      return [program('tidegate'), ['-c', file]];
    },
  },
};

const isThere = (name) => name !== 'tidegate' || fs.existsSync(program('tidegate-worker'));

module.exports = { peers, isThere };
