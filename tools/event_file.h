// Scalars in a file that TensorBoard opens: loss, accuracy and rates over the steps. Written with write(2) from reserved
// buffers, an event at a time; nothing is allocated after open(). A failing file never ends the training: it is said once,
// and the exit code tells. Main thread.
//
// The file is a row of TFRecords (TensorFlow, tf_record.proto's neighbours), little-endian:
//     length of the data u64, masked CRC-32C of these eight bytes u32, data, masked CRC-32C of the data u32
//     masked: rotated right by 15 bits, plus 0xa282ead8
// and the data of each is an Event in protocol buffers' wire form:
//     1 wall_time double, 2 step varint, 3 file_version text (the first event: "brain.Event:2"), 5 summary:
//         1 value, again and again: 1 tag text, 2 simple_value float
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "src/lean_train.h"
#include "tools/protobuf_writer.h"

namespace lt::tool {

class EventFile {
 public:
  EventFile() = default;
  ~EventFile();
  EventFile(const EventFile&) = delete;
  EventFile& operator=(const EventFile&) = delete;

  // Makes the folder, if it is not there, and a file in it whose name no other run has. False, with errno set.
  bool open(const std::string& folder);
  bool is_open() const { return fd_ >= 0; }
  bool failed() const { return failed_; }

  void step(const lt_report& report);
  void epoch(const lt_report& train, const lt_report& test);
  // False where anything failed.
  bool close();

 private:
  struct Scalar {
    std::string_view tag;
    double value;
  };
  void write(uint64_t step, const Scalar* scalars, size_t count);
  void write_record(std::string_view data);

  std::string path_;
  ProtobufWriter value_, summary_, event_, record_;
  int fd_ = -1;
  bool failed_ = false;
};

// Of polynomial 0x1EDC6F41, reflected (Castagnoli; RFC 3720, appendix B.4).
uint32_t crc32c(std::string_view bytes);

}  // namespace lt::tool
