// Puts a published data set into a folder: from a mirror, from another web folder, or from a folder of this machine, each
// file, or the archive that it comes in, checked against the publishers' SHA-256 before it gets its name. What is there
// already and right is left alone. One process at a time a folder (a lock sees to it); one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "tools/data_download.h"
#include "tools/data_publishers.h"

namespace lt::tool {

struct DataGet {
  const PublishedSet* set;
  std::string from;  // "": the mirrors; else the URL of a folder, or a folder
  std::string to;    // made where it is not there
  bool force;        // replace files that are there and are not the published ones
};

// What the user is told on the way.
struct DataGetEvents {
  std::function<void(const std::string& line)> say;
  std::function<void(const std::string& name, uint64_t bytes, uint64_t of_bytes)> progress;  // of a packed file
  std::function<void(const std::string& line)> draw;                                         // progress of another kind
};

// The set's archive as the publishers give it out, SHA-256 and all: fetched into what.to, where the caller removes it, or
// found in the folder of this machine that what.from names. room_bytes have to be free for what is made of it.
Fetched get_archive_file(const DataGet& what, uint64_t room_bytes, const DataGetEvents& events, std::string* path,
                         bool* fetched);

Fetched get_data(const DataGet& what, const DataGetEvents& events);

// Unpacks each NAME.gz in `folder` whose NAME is not there, or the archive in it, where a file of it is not there, as tar
// does: into the set's folder below. `unpacked` counts the files; `foreign` names what has the published size and other
// bytes.
Fetched prepare_data(const PublishedSet& set, const std::string& folder, unsigned* unpacked, std::string* foreign);

}  // namespace lt::tool
