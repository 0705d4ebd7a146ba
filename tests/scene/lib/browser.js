// Chromium with a page that has WebSockets, for scenes to play with.
'use strict';

const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const { chromium } = require('playwright-core');
const { event } = require('./wait');

const CHROMIUM = process.env.CHROMIUM || '/usr/bin/chromium';
const FLAGS = [
  '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync',
  '--disable-dev-shm-usage',
];
const START_MS = 30000;

// What the page offers to the scene: sockets by number, each with what it was told so far.
const PAGE = `<!doctype html><title>scene</title><script>
var sockets = [];
function connect(url, protocols) {
  const socket = new WebSocket(url, protocols);
  const s = { socket, messages: [], takers: [] };
  socket.binaryType = 'arraybuffer';
  s.opened = new Promise((resolve) => { socket.onopen = () => resolve(true); socket.onerror = () => resolve(false); });
  s.closed = new Promise((resolve) => { socket.onclose = (e) => resolve({ code: e.code, reason: e.reason, wasClean: e.wasClean }); });
  socket.onmessage = (e) => {
    const data = typeof e.data === 'string' ? e.data : Array.from(new Uint8Array(e.data));
    const taker = s.takers.shift();
    if (taker) taker(data); else s.messages.push(data);
  };
  sockets.push(s);
  return s.opened.then((isOpen) => ({ id: sockets.length - 1, isOpen, protocol: socket.protocol, extensions: socket.extensions }));
}
function next(id) {
  const s = sockets[id];
  return s.messages.length > 0 ? s.messages.shift() : new Promise((resolve) => s.takers.push(resolve));
}
function ask(id, data) {
  sockets[id].socket.send(Array.isArray(data) ? new Uint8Array(data) : data);
  return next(id);
}
</script>`;

// A web server of the page alone; returns its origin.
async function servePage(s) {
  const web = http.createServer((request, response) => response.setHeader('Content-Type', 'text/html').end(PAGE));
  web.listen(0, '127.0.0.1');
  await event(web, 'listening');
  s.atEnd(() => {
    web.close();
    web.closeAllConnections?.();
  });
  return `http://127.0.0.1:${web.address().port}`;
}

// The page in a browser of its own; `url`: where it is served, by itself when that is not given.
async function openPage(s, { url, flags = [] } = {}) {
  if (!fs.existsSync(CHROMIUM)) throw new Error(`${CHROMIUM} is missing: install it (deploy/packages, group test) or name another in CHROMIUM`);
  const origin = url ?? (await servePage(s));
  const context = await chromium.launchPersistentContext(path.join(s.temp(), 'chromium'), {
    executablePath: CHROMIUM, ignoreDefaultArgs: ['--enable-automation'], args: [...FLAGS, ...flags], headless: true, timeout: START_MS,
  });
  s.atEnd(() => context.close());
  const page = await context.newPage();
  page.setDefaultTimeout(10000);
  await page.goto(origin);
  return { page, origin };
}

const open = (page, url, protocols) => page.evaluate(([u, p]) => globalThis.connect(u, p), [url, protocols]);
const ask = (page, id, data) => page.evaluate(([i, d]) => globalThis.ask(i, d), [id, data]);
const closing = (page, id) => page.evaluate((i) => globalThis.sockets[i].closed, id);

module.exports = { ask, closing, open, openPage, servePage };
