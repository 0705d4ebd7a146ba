// nginx as the origin: its validators, its compression, its idea of lifetimes.
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { describe } = require('node:test');
const zlib = require('node:zlib');
const { curl, get, nginx, request, scene, told, waitFor } = require('./lib');

const TEXT = 'the same line, once more\n'.repeat(400);
const FILE = '/report.txt';

// nginx that logs what it is asked, with a file, and a gateway that caches before it.
async function stage(s, cache, server = '') {
  const log = path.join(s.temp(), 'origin.log');
  const web = await nginx(s, `access_log ${log} asked; gzip_types text/plain application/json; ${server}`, {
    http: 'log_format asked \'$request_method $request_uri $status inm=$http_if_none_match ims=$http_if_modified_since ae=$http_accept_encoding\';',
  });
  const write = (text, at = new Date(1700000000000)) => {
    fs.writeFileSync(path.join(web.root, FILE), text);
    fs.utimesSync(path.join(web.root, FILE), at, at);
  };
  write(TEXT);
  const gateway = await s.gateway({
    pools: { p: { check: { type: 'none' }, servers: [{ name: 'nginx', url: web.url }] } },
    routes: [{ name: 'all', path: '/', pool: 'p', cache: { policy: 'stale-while-revalidate', ...cache } }],
  });
  const ask = async (headers = {}, file = FILE) => {
    const answer = await get(gateway.port, file, { headers });
    return { ...answer, told: told(answer.headers) };
  };
  const asked = () => (fs.existsSync(log) ? fs.readFileSync(log, 'utf8').split('\n').slice(0, -1) : []);
  return { web, gateway, write, ask, asked };
}

describe('nginx behind the cache', { concurrency: 3 }, () => {
  scene('a file is asked for once; after that nginx is asked whether it is still the same', async (s) => {
    const { ask, asked, write } = await stage(s, { fresh: 0 });
    const first = await ask();
    assert.equal(first.text, TEXT);
    const { etag } = first.headers;
    assert.equal((await ask()).text, TEXT);
    await waitFor('both in its log', () => asked().length === 2);
    assert.equal(asked()[0], `GET ${FILE} 200 inm=- ims=- ae=identity`);
    assert.equal(asked()[1], `GET ${FILE} 304 inm=${etag.replace(/"/g, '\\x22')} ims=${first.headers['last-modified']} ae=identity`);
    write('another', new Date(1700000100000));
    const other = await ask();
    assert.equal(other.text, 'another');
    assert.notEqual(other.headers.etag, etag);
    await waitFor('a third', () => asked()[2]?.startsWith(`GET ${FILE} 200`));
  });

  scene('its clients\' conditions are answered at the edge, as nginx would', async (s) => {
    const { web, gateway, asked } = await stage(s, { fresh: '1m' });
    const { headers } = await get(gateway.port, FILE);
    const rows = [
      { 'if-none-match': headers.etag }, { 'if-none-match': `W/${headers.etag}` }, { 'if-none-match': '"x"' }, { 'if-none-match': '*' },
      { 'if-modified-since': headers['last-modified'] }, { 'if-modified-since': 'Mon, 01 Jan 1990 00:00:00 GMT' },
      { 'if-match': headers.etag }, { 'if-match': '"x"' }, { 'if-unmodified-since': 'Mon, 01 Jan 1990 00:00:00 GMT' },
      { range: 'bytes=0-9' }, { range: 'bytes=-9' }, { range: 'bytes=999999-' },
      { range: 'bytes=0-9', 'if-range': headers.etag }, { range: 'bytes=0-9', 'if-range': '"x"' },
    ];
    for (const row of rows) {
      const [edge, origin] = [await get(gateway.port, FILE, { headers: row }), await get(web.port, FILE, { headers: row })];
      assert.equal(edge.status, origin.status, JSON.stringify(row));
      assert.equal(edge.headers['content-range'], origin.headers['content-range'], JSON.stringify(row));
      if (origin.status < 300) assert.equal(edge.text, origin.text, JSON.stringify(row));
    }
    assert.equal(asked().filter((line) => line.endsWith('ae=identity')).length, 1);
  });

  scene('expires and Cache-Control of nginx', async (s) => {
    const { ask, asked } = await stage(s, {}, `
      location /long { expires 1h; try_files ${FILE} =404; }
      location /never { expires epoch; try_files ${FILE} =404; }
      location /off { expires off; try_files ${FILE} =404; }
      location /private { add_header Cache-Control "private, max-age=60"; try_files ${FILE} =404; }`);
    for (const [where, isHit] of [['/long', true], ['/never', false], ['/off', false], ['/private', false]]) {
      await ask({}, where);
      const second = await ask({}, where);
      assert.equal(second.told.hit ?? false, isHit, where);
      assert.equal(second.text, TEXT);
    }
    assert.equal(asked().filter((line) => line.includes('/long')).length, 1);
  });

  scene('with gzip on, where the route asks for it: each coding is an entry, and each client gets one it takes', async (s) => {
    const { gateway, ask, asked } = await stage(s, { fresh: '1m', headers: ['accept-encoding'] }, 'gzip on; gzip_vary on; gzip_proxied any; gzip_min_length 100;');
    const url = `http://127.0.0.1:${gateway.port}${FILE}`;
    for (let i = 0; i < 2; i++) {
      const coded = await curl('-H', 'Accept-Encoding: gzip', url);
      assert.equal(zlib.gunzipSync(coded.stdout).toString(), TEXT);
      assert.equal((await ask()).text, TEXT);
      const { headers } = await ask({ 'accept-encoding': 'identity' });
      assert.equal(headers['content-encoding'], undefined);
    }
    assert.ok(asked().filter((line) => line.includes(FILE)).length <= 4);
  });

  scene('with gzip on, as it is: the gateway codes for itself', async (s) => {
    const { gateway, asked } = await stage(s, { fresh: '1m', compress: ['gzip'] }, 'gzip on; gzip_vary on; gzip_proxied any; gzip_min_length 100;');
    const url = `http://127.0.0.1:${gateway.port}${FILE}`;
    for (let i = 0; i < 2; i++) {
      assert.equal((await curl('--compressed', url)).text, TEXT);
      assert.equal((await curl(url)).text, TEXT);
    }
    const { headers } = await request({ port: gateway.port, path: FILE, headers: { 'accept-encoding': 'gzip', accept: '*/*' } }); // as curl says
    assert.equal(headers['content-encoding'], 'gzip');
    assert.match(headers.etag, /-gzip"$/);
    assert.deepEqual(asked(), [`GET ${FILE} 200 inm=- ims=- ae=identity`]);
  });

  scene('gone for a moment: what is stale stands in', async (s) => {
    const { web, ask } = await stage(s, { fresh: 0, stale_if_error: '1m', negative: 0 });
    assert.equal((await ask()).text, TEXT);
    await web.kill();
    const stale = await ask();
    assert.deepEqual([stale.status, stale.text, stale.told.detail], [200, TEXT, 'error']);
    assert.equal((await ask({}, '/other')).status, 502);
  });
});
