// Fetches a file from a web server by curl or wget, whichever is there, so that the program itself needs no network code.
// Broken-off downloads stay as PATH.part and are taken up again; what does not have the announced bytes never gets the
// name PATH. One thread at a time; nothing else may write PATH.part meanwhile.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace lt::tool {

// How a step of `data get` ended, and the sentence about it where it is not `ok`.
struct Fetched {
  enum Result {
    ok,
    unreachable,  // no server, no such file there, broken off again and again: another mirror may help
    wrong_bytes,  // what came is not what the publishers gave out: another mirror may help
    local,        // this machine's disk, or no program to fetch with: no mirror helps
  };
  Result result = ok;
  std::string why;
};

struct Download {
  std::string url;           // http:// or https://
  std::string path;          // where the finished file goes
  uint64_t bytes = 0;        // its size; 0 where it is not known
  std::string sha256;        // its SHA-256 in hex digits; "" where it is not known: PATH.part is then begun anew
  uint64_t bytes_limit = 0;  // what may be written at most where the size is not known
};

// Called a few times a second with the bytes that are there.
using DownloadProgress = std::function<void(uint64_t bytes)>;

// "curl", "wget", or "" where neither is in $PATH.
std::string download_program();

Fetched download(const Download& what, const std::string& program, const DownloadProgress& progress);

// SHA-256 of a file in hex digits; "" where it cannot be read.
std::string file_sha256(const std::string& path);

// The file's size; 0 where there is none.
uint64_t file_bytes(const std::string& path);

}  // namespace lt::tool
