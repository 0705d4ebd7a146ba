// Processes as the kernel sees them.
'use strict';

const fs = require('node:fs');

function read(file) {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

// One that has ended and that nobody has buried yet is not alive.
function isAlive(pid) {
  const state = read(`/proc/${pid}/stat`).match(/\) (\S)/)?.[1];
  return state !== undefined && state !== 'Z' && state !== 'X';
}

function childrenOf(pid) {
  return fs.readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(read(`/proc/${name}/stat`).match(/\) \S (\d+)/)?.[1]) === pid)
    .map(Number)
    .filter(isAlive);
}

// Bytes of memory that are the process's own: not of a file, not shared with others.
function ownMemory(pid) {
  return Number(read(`/proc/${pid}/status`).match(/^RssAnon:\s+(\d+) kB/m)?.[1] ?? 0) * 1024;
}

// The most memory it ever had in use, files included.
function peakMemory(pid) {
  return Number(read(`/proc/${pid}/status`).match(/^VmHWM:\s+(\d+) kB/m)?.[1] ?? 0) * 1024;
}

function descriptorCount(pid) {
  return fs.readdirSync(`/proc/${pid}/fd`).length;
}

// The effective user.
function uidOf(pid) {
  return Number(read(`/proc/${pid}/status`).match(/^Uid:\s+\d+\s+(\d+)/m)?.[1]);
}

// Map from the client's port to the process that has the other end, for IPv4 connections accepted on `port`.
function holders(port, pids) {
  const hex = (n) => n.toString(16).toUpperCase().padStart(4, '0');
  const portByInode = new Map();
  for (const line of read('/proc/net/tcp').split('\n').slice(1)) {
    const [, local, remote, , , , , , , inode] = line.trim().split(/\s+/);
    if (local?.endsWith(`:${hex(port)}`)) portByInode.set(inode, parseInt(remote.split(':')[1], 16));
  }
  const found = new Map();
  for (const pid of pids) {
    for (const fd of fs.readdirSync(`/proc/${pid}/fd`)) {
      let inode;
      try {
        inode = fs.readlinkSync(`/proc/${pid}/fd/${fd}`).match(/^socket:\[(\d+)\]$/)?.[1];
      } catch {
        continue; // closed meanwhile
      }
      if (portByInode.get(inode)) found.set(portByInode.get(inode), pid);
    }
  }
  return found;
}

module.exports = { childrenOf, descriptorCount, holders, isAlive, ownMemory, peakMemory, uidOf };
