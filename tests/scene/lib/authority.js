// Certificates for scenes.
'use strict';

const { execFile } = require('node:child_process');
const crypto = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');
const { promisify } = require('node:util');

const run = promisify(execFile);

// A certificate authority of the scene's own.
class Authority {
  static async create(s, name = 'ca') {
    const a = new Authority(fs.mkdtempSync(path.join(s.temp(), `${name}-`)));
    await a.#openssl('ecparam', '-genkey', '-name', 'prime256v1', '-noout', '-out', a.#file('ca.key'));
    await a.#openssl('req', '-x509', '-new', '-key', a.#file('ca.key'), '-subj', `/CN=${name}`, '-days', '2', '-out', a.file);
    return a;
  }

  constructor(folder) {
    this.folder = folder;
    this.file = this.#file('ca.crt');
  }

  // {cert, key} (paths) for `names`: DNS names, or IP addresses as "IP:127.0.0.1".
  async issue(id, names, { days = 2 } = {}) {
    const [cert, key, request, extension] = ['crt', 'key', 'csr', 'ext'].map((end) => this.#file(`${id}.${end}`));
    const all = names.map((name) => (name.startsWith('IP:') ? name : `DNS:${name}`));
    fs.writeFileSync(extension, `subjectAltName=${all.join()}\n`);
    await this.#openssl('ecparam', '-genkey', '-name', 'prime256v1', '-noout', '-out', key);
    await this.#openssl('req', '-new', '-key', key, '-subj', `/CN=${id}`, '-out', request);
    await this.#openssl(
      ...['x509', '-req', '-in', request, '-CA', this.file, '-CAkey', this.#file('ca.key')],
      ...['-set_serial', `0x${crypto.randomBytes(8).toString('hex')}`], // no file of serials: several may be issued at once
      ...['-days', String(days), '-extfile', extension, '-out', cert],
    );
    return { cert, key };
  }

  // A file with an OCSP response that calls the certificate good for the next hour, or revoked.
  async ocsp(cert, { isRevoked = false } = {}) {
    const [index, response] = ['idx', 'ocsp'].map((end) => `${cert}.${isRevoked ? 'revoked' : 'good'}.${end}`);
    const { stdout } = await this.#openssl('x509', '-in', cert, '-noout', '-serial');
    const [, serial] = stdout.match(/serial=(\w+)/);
    fs.writeFileSync(index, `${isRevoked ? 'R' : 'V'}\t491231235959Z\t${isRevoked ? '200101000000Z' : ''}\t${serial}\tunknown\t/CN=any\n`);
    await this.#openssl(
      ...['ocsp', '-index', index, '-CA', this.file, '-issuer', this.file, '-cert', cert, '-rsigner', this.file],
      ...['-rkey', this.#file('ca.key'), '-nmin', '60', '-respout', response],
    );
    return response;
  }

  #file(name) {
    return path.join(this.folder, name);
  }

  #openssl(...args) {
    return run('openssl', args);
  }
}

module.exports = { Authority };
