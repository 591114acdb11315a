// JPEG by libjpeg-turbo, with its defaults (as Pillow leaves them): see decode.h. The library ends an error by a jump, so
// that the functions jumped out of hold nothing that would have to be destroyed.
#include <csetjmp>
#include <cstdio>

#include <jpeglib.h>

#include <jerror.h>

#include "tools/images/decode.h"

namespace lt::tool {
namespace {

struct Jpeg {
  jpeg_decompress_struct info{};
  jpeg_error_mgr errors{};
  jpeg_progress_mgr progress{};
  std::jmp_buf end;
  char why[JMSG_LENGTH_MAX] = "";

  Jpeg() { info.err = jpeg_std_error(&errors); }
  ~Jpeg() { jpeg_destroy_decompress(&info); }
  Jpeg(const Jpeg&) = delete;
  Jpeg& operator=(const Jpeg&) = delete;
};

Jpeg* of(j_common_ptr info) { return static_cast<Jpeg*>(info->client_data); }

[[noreturn]] void give_up(j_common_ptr info) {
  info->err->format_message(info, of(info)->why);
  std::longjmp(of(info)->end, 1);
}

// Warnings have level -1. Those of bytes that are missing or wrong end it, where the library would fill in grey; odd
// headers do not.
void on_message(j_common_ptr info, int level) {
  if (level >= 0) return;
  const int code = info->err->msg_code;
  if (code != JWRN_EXTRANEOUS_DATA && code != JWRN_JFIF_MAJOR && code != JWRN_ADOBE_XFORM) give_up(info);
}

void on_progress(j_common_ptr info) {
  const int scan = reinterpret_cast<j_decompress_ptr>(info)->input_scan_number;
  if (scan <= static_cast<int>(image_scans_most)) return;
  std::snprintf(of(info)->why, sizeof of(info)->why, "more than %u scans", image_scans_most);
  std::longjmp(of(info)->end, 1);
}

bool read_header(Jpeg* jpeg, const uint8_t* bytes, size_t size) {
  if (setjmp(jpeg->end) != 0) return false;
  jpeg_create_decompress(&jpeg->info);
  jpeg->info.client_data = jpeg;
  jpeg->info.progress = &jpeg->progress;
  jpeg->info.mem->max_memory_to_use = static_cast<long>(image_decoder_bytes_most);
  jpeg_mem_src(&jpeg->info, bytes, static_cast<unsigned long>(size));
  jpeg_read_header(&jpeg->info, TRUE);
  jpeg->info.out_color_space = jpeg->info.num_components == 4 ? JCS_CMYK : JCS_RGB;
  return true;
}

// Of a file with more than one scan all coefficients are kept, two bytes each.
bool memory_fits(const jpeg_decompress_struct& info, std::string* why) {
  if (!jpeg_has_multiple_scans(const_cast<j_decompress_ptr>(&info))) return true;
  uint64_t bytes = 0;
  for (int c = 0; c < info.num_components; ++c)
    bytes += uint64_t{info.comp_info[c].width_in_blocks} * info.comp_info[c].height_in_blocks * DCTSIZE2 * sizeof(JCOEF);
  if (bytes < image_decoder_bytes_most) return true;
  *why = "is progressive and would need " + std::to_string(bytes) + " bytes of memory, less than " +
         std::to_string(image_decoder_bytes_most) + " are given to it";
  return false;
}

// Rounded a * b / 255.
int product_255(int a, int b) {
  const int sum = a * b + 128;
  return (sum + (sum >> 8)) >> 8;
}

// In place: four inverted inks to three colours.
void inks_to_colours(uint8_t* row, uint32_t width) {
  for (uint32_t x = 0; x < width; ++x) {
    const int light = row[4 * x + 3];
    for (uint32_t c = 0; c < 3; ++c)
      row[3 * x + c] = static_cast<uint8_t>(light - product_255(255 - row[4 * x + c], light));
  }
}

bool read_rows(Jpeg* jpeg, RowSink* sink, uint8_t* row) {
  if (setjmp(jpeg->end) != 0) return false;
  jpeg_start_decompress(&jpeg->info);
  while (jpeg->info.output_scanline < jpeg->info.output_height) {
    JSAMPROW rows[] = {row};
    jpeg_read_scanlines(&jpeg->info, rows, 1);
    if (jpeg->info.out_color_space == JCS_CMYK) inks_to_colours(row, jpeg->info.output_width);
    sink->row(row);
  }
  jpeg_finish_decompress(&jpeg->info);
  return true;
}

}  // namespace

bool decode_jpeg(const uint8_t* bytes, size_t size, RowSink* sink, std::vector<uint8_t>* scratch, std::string* why) {
  Jpeg jpeg;
  jpeg.errors.error_exit = give_up;
  jpeg.errors.emit_message = on_message;
  jpeg.errors.output_message = [](j_common_ptr) {};
  jpeg.progress.progress_monitor = on_progress;
  jpeg.info.client_data = &jpeg;
  bool whole = read_header(&jpeg, bytes, size);
  if (whole) {
    if (!image_size_fits(jpeg.info.image_width, jpeg.info.image_height, why) || !memory_fits(jpeg.info, why)) return false;
    scratch->resize(size_t{jpeg.info.image_width} * 4);
    sink->begin(jpeg.info.image_width, jpeg.info.image_height);
    whole = read_rows(&jpeg, sink, scratch->data());
  }
  if (!whole) *why = std::string("is a broken JPEG file: ") + jpeg.why;
  return whole;
}

}  // namespace lt::tool
