'use strict';
// The same programs as caches, each as who knows it well would set it up for small answers that all fit: kept in memory (or
// on a tmpfs), found open, no access log. The origin's Cache-Control says how long answers live.
const { program, write } = require('./files.js');

// Each gets { dir, memory, port, backend, connections, tls } and says what to run, with one worker; `memory` is a directory
// on a tmpfs, `tls` as in peers.js.
const caches = {
  nginx: ({ dir, memory, port, backend, connections, tls }) => {
    const secure = tls === null ? '' : `
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_certificate ${tls.cert};
    ssl_certificate_key ${tls.key};`;
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
      .map((kind) => `  ${kind}_temp_path ${dir}/${kind};`)
      .join('\n');
    const file = write(dir, 'nginx.conf', `
worker_processes 1;
daemon off;
pid ${dir}/nginx.pid;
error_log stderr warn;
events { worker_connections 30000; }
http {
  access_log off;
${temporary}
  proxy_cache_path ${memory}/kept levels=1:2 keys_zone=kept:16m max_size=64m inactive=1h use_temp_path=off;
  sendfile on;
  open_file_cache max=10000 inactive=1h;
  open_file_cache_valid 1h;
  upstream backend {
    server 127.0.0.1:${backend};
    keepalive ${connections};
  }
  server {
    listen 127.0.0.1:${port}${tls === null ? '' : ' ssl http2'} reuseport backlog=4096;${secure}
    keepalive_requests 1000000000;
    keepalive_timeout 1h;
    location / {
      proxy_pass http://backend;
      proxy_http_version 1.1;
      proxy_set_header Host $host;
      proxy_set_header Connection '';
      proxy_cache kept;
      proxy_cache_lock on;
      proxy_cache_use_stale updating error timeout;
      proxy_cache_background_update on;
    }
  }
}
`);
    return ['nginx', ['-p', dir, '-e', 'stderr', '-c', file]];
  },

  haproxy: ({ dir, port, backend, connections, tls }) => {
    const secure = tls === null ? '' : ` ssl crt ${tls.both} alpn h2,http/1.1`;
    const file = write(dir, 'haproxy.cfg', `
global
  nbthread 1
  maxconn ${Math.max(connections, 5000)}
cache kept
  total-max-size 64
  max-object-size 1000000
  max-age 3600
defaults
  mode http
  timeout connect 5s
  timeout client 1h
  timeout server 1h
frontend front
  bind 127.0.0.1:${port}${secure} backlog 4096
  http-request cache-use kept
  http-response cache-store kept
  default_backend back
backend back
  server one 127.0.0.1:${backend}
`);
    return ['haproxy', ['-db', '-f', file]];
  },

  // It has no TLS. Its log is memory that others may read; nobody does. Two pools of threads are of no use to one core.
  varnish: ({ memory, port, backend }) => ['varnishd', [
    '-F', '-n', `${memory}/varnish`, '-a', `127.0.0.1:${port}`, '-b', `127.0.0.1:${backend}`, '-T', 'none',
    '-s', 'malloc,64m', '-p', 'feature=+http2', '-p', 'listen_depth=4096',
    '-p', 'thread_pools=1',
  ]],

  tidegate: ({ dir, port, backend, tls, fresh = '1h', stale = 'origin' }) => {
    const secure = tls === null ? '' : `, tls: { certificates: [ { cert: ${tls.cert}, key: ${tls.key} } ] }`;
    const file = write(dir, 'tidegate.yaml', `
node: { name: bench, region: local }
workers: 1
state_dir: ""
control: { path: "" }
log: { level: warn, access: false }
listen:
  - { address: "127.0.0.1:${port}", backlog: 4096${secure} }
limits: { connections: 30000, per_client: 0, keepalive_timeout: 1h }
pools:
  origin:
    check: { type: tcp, interval: 1s, timeout: 500ms }
    servers: [ { name: one, url: "http://127.0.0.1:${backend}" } ]
routes:
  - { path: /, pool: origin, cache: { policy: stale-while-revalidate, fresh: ${fresh}, stale: ${stale} } }
`);
    return [program('tidegate'), ['-c', file]];
  },
};

module.exports = { caches };
