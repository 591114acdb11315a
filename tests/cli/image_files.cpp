// Image files that are damaged in thousands of ways, and readers that go before they are done: neither reads nor writes
// where it must not (the sanitizers look), and what is taken for whole has all its rows. What images look like is tested in
// images.py, against Pillow.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <random>

#include <jpeglib.h>
#include <png.h>

#include "tests/data/temporary_folder.h"
#include "tools/images/image_reader.h"
#include "tools/images/resample.h"

namespace lt::tool {
namespace {

using Bytes = std::vector<uint8_t>;
constexpr uint32_t width = 45, height = 37;

Bytes pixels() {
  Bytes rgb;
  for (uint32_t y = 0; y < height; ++y)
    for (uint32_t x = 0; x < width; ++x) rgb.insert(rgb.end(), {uint8_t(x * 5), uint8_t(y * 6), uint8_t((x ^ y) * 3)});
  return rgb;
}

Bytes jpeg(bool progressive) {
  Bytes rgb = pixels();
  jpeg_compress_struct info;
  jpeg_error_mgr errors;
  info.err = jpeg_std_error(&errors);
  jpeg_create_compress(&info);
  unsigned char* out = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&info, &out, &size);
  info.image_width = width;
  info.image_height = height;
  info.input_components = 3;
  info.in_color_space = JCS_RGB;
  jpeg_set_defaults(&info);
  if (progressive) jpeg_simple_progression(&info);
  jpeg_start_compress(&info, TRUE);
  for (uint32_t y = 0; y < height; ++y) {
    JSAMPROW row = &rgb[size_t{y} * width * 3];
    jpeg_write_scanlines(&info, &row, 1);
  }
  jpeg_finish_compress(&info);
  const Bytes file(out, out + size);
  jpeg_destroy_compress(&info);
  std::free(out);
  return file;
}

Bytes png() {
  const Bytes rgb = pixels();
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = width;
  image.height = height;
  image.format = PNG_FORMAT_RGB;
  png_alloc_size_t size = 0;
  png_image_write_to_memory(&image, nullptr, &size, 0, rgb.data(), 0, nullptr);
  Bytes file(size);
  EXPECT_NE(png_image_write_to_memory(&image, file.data(), &size, 0, rgb.data(), 0, nullptr), 0);
  file.resize(size);
  return file;
}

struct Rows final : RowSink {
  uint32_t width = 0, height = 0, rows = 0;
  Bytes all;
  void begin(uint32_t w, uint32_t h) override {
    width = w, height = h, rows = 0;
    all.assign(size_t{w} * 3 * std::min(h, 4096u), 0);
  }
  void row(const uint8_t* rgb) noexcept override {
    if (rows++ < 4096) std::copy_n(rgb, size_t{width} * 3, &all[size_t{rows - 1} * width * 3]);
  }
};

// Some bytes changed, most of them among the headers, and sometimes the end cut off.
Bytes damage(Bytes file, std::mt19937* random) {
  const auto below = [random](size_t n) { return (*random)() % n; };
  for (size_t changes = 1 + below(6); changes > 0; --changes)
    file[below(3) != 0 ? below(std::min<size_t>(file.size(), 500)) : below(file.size())] =
        static_cast<uint8_t>(below(3) != 0 ? below(256) : 255 * below(2));
  if (below(4) == 0) file.resize(below(file.size()));
  file.shrink_to_fit();
  return file;
}

TEST(ImageFiles, AreReadToTheBit) {
  Rows rows;
  Bytes scratch;
  std::string why;
  const Bytes file = png();
  ASSERT_TRUE(decode_image(file.data(), file.size(), &rows, &scratch, &why)) << why;
  EXPECT_EQ(rows.rows, height);
  EXPECT_EQ(rows.all, pixels());
}

TEST(ImageFiles, DamagedInThousandsOfWays) {
  std::mt19937 random(5);
  Resampler resampler(32, 40, 3);
  Bytes scratch, out(3 * 32 * 32);
  for (const Bytes& file : {jpeg(false), jpeg(true), png()}) {
    Rows rows;
    std::string why;
    EXPECT_TRUE(decode_image(file.data(), file.size(), &rows, &scratch, &why)) << why;
    EXPECT_EQ(rows.rows, height);
    int refused = 0;
    for (int i = 0; i < 1500; ++i) {
      const Bytes broken = damage(file, &random);
      why.clear();
      const bool whole = decode_image(broken.data(), broken.size(), &rows, &scratch, &why);
      EXPECT_NE(whole, !why.empty());
      if (whole) {
        EXPECT_EQ(rows.rows, rows.height);
        ASSERT_TRUE(decode_image(broken.data(), broken.size(), &resampler, &scratch, &why)) << why;
        resampler.finish(out.data());
      }
      refused += !whole;
    }
    EXPECT_GT(refused, 500);
  }
}

class Folder : public testing::Test {
 protected:
  void SetUp() override {
    const Bytes files[] = {jpeg(false), png(), jpeg(true), {}};
    for (int i = 0; i < 40; ++i)
      tests::write_file(folder_ / ("image" + std::to_string(10 + i) + (i % 4 == 1 ? ".png" : ".jpg")),
                        std::string(files[i % 4].begin(), files[i % 4].end()));
    options_ = {folder_.path(), 16, 20, 3, 4, 6, true};
  }
  tests::TemporaryFolder folder_;
  ImageOptions options_;
  std::string why_;
};

TEST_F(Folder, ComesInOrderWhateverTheThreads) {
  Bytes first;
  for (const uint32_t threads : {1u, 2u, 5u}) {
    options_.threads = threads;
    ImageReader reader;
    ASSERT_TRUE(reader.open(options_, &why_)) << why_;
    EXPECT_EQ(reader.threads(), threads);
    Bytes x(40 * 3 * 16 * 16);
    uint32_t got = 0, all = 0;
    do {
      ASSERT_TRUE(reader.next(7, &x[all * 3 * 16 * 16], &got, &why_)) << why_;
      all += got;
    } while (got > 0);
    EXPECT_EQ(all, 30u);
    EXPECT_EQ(reader.given()[3], "image14.jpg");
    ASSERT_EQ(reader.bad().size(), 10u);
    EXPECT_EQ(reader.bad()[1].name, "image17.jpg");
    EXPECT_EQ(reader.bad()[1].why, "is empty");
    if (first.empty()) first = x;
    EXPECT_EQ(x, first);
  }
}

TEST_F(Folder, MayBeLeftAtAnyTime) {
  for (const uint32_t asked : {0u, 1u, 9u}) {
    ImageReader reader;
    ASSERT_TRUE(reader.open(options_, &why_)) << why_;
    Bytes x(9 * 3 * 16 * 16);
    uint32_t got = 0;
    ASSERT_TRUE(reader.next(asked, x.data(), &got, &why_)) << why_;
    EXPECT_EQ(got, asked);
  }
}

}  // namespace
}  // namespace lt::tool
