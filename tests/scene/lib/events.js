// Events of a gateway: its journal on disk, and those who follow them.
'use strict';

const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const { within } = require('./wait');

// The journal in a state directory, oldest first, with the files that were put aside.
function journal(folder) {
  const files = fs.readdirSync(folder).filter((name) => name.startsWith('events.jsonl'));
  const age = (name) => Number(name.split('.')[2] ?? 0);
  return files.sort((a, b) => age(b) - age(a)).flatMap((name) => {
    const text = fs.readFileSync(path.join(folder, name), 'utf8');
    if (text !== '' && !text.endsWith('\n')) throw new Error(`${name} ends within a line`);
    return text.split('\n').slice(0, -1).map((line) => JSON.parse(line));
  });
}

// Server-sent events as they come: `got` grows, {id, data}.
class Followed {
  static open(s, port, target = '/events', headers = {}) {
    const f = new Followed();
    return within(5000, 'the stream of events', new Promise((resolve, reject) => {
      const req = http.get({ host: '127.0.0.1', port, path: target, agent: false, headers: { accept: 'text/event-stream', ...headers } }, (res) => {
        f.status = res.statusCode;
        f.headers = res.headers;
        res.setEncoding('utf8');
        res.on('data', (text) => f.#take(text));
        res.on('error', () => {});
        res.once('close', () => { f.isClosed = true; });
        if (res.statusCode !== 200) resolve(f);
        else res.once('data', () => resolve(f)); // the first sign of life
      });
      req.on('error', reject);
      s.atEnd(() => req.destroy());
    }));
  }

  constructor() {
    this.got = [];
    this.rest = '';
    this.isClosed = false;
  }

  #take(text) {
    const blocks = (this.rest + text).split('\n\n');
    this.rest = blocks.pop();
    for (const block of blocks) {
      const fields = Object.fromEntries(block.split('\n').filter((l) => !l.startsWith(':')).map((l) => l.split(/: (.*)/s)));
      if (fields.data) this.got.push({ id: Number(fields.id), data: JSON.parse(fields.data) });
    }
  }
}

module.exports = { journal, Followed };
