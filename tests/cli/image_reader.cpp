// What an ImageReader gives of a folder, for Python to look at: the images' bytes on stdout, then on stderr a line for each
// one that was left out; exit code 3 and the sentence where reading ended. Images are asked for three at a time.
//
// usage: image-reader FOLDER SIDE SHORTER_SIDE CHANNELS THREADS AHEAD SKIP_BAD [NAMES.csv]
#include "tools/images/image_reader.h"

#include <cstdio>
#include <cstdlib>

#include "tools/images/names_file.h"

int main(int argc, char** argv) {
  if (argc < 8) return 2;
  const auto number = [argv](int i) { return static_cast<uint32_t>(std::strtoul(argv[i], nullptr, 10)); };
  const lt::tool::ImageOptions options{argv[1], number(2), number(3), number(4), number(5), number(6), number(7) != 0};
  lt::tool::ImageReader reader;
  std::string why;
  bool good = reader.open(options, &why);
  const size_t image_bytes = size_t{options.channels} * options.side * options.side;
  std::vector<uint8_t> x(3 * image_bytes);
  for (uint32_t n = 1; good && n > 0;) {
    good = reader.next(3, x.data(), &n, &why);
    std::fwrite(x.data(), image_bytes, n, stdout);
  }
  for (const lt::tool::BadImage& bad : reader.bad()) std::fprintf(stderr, "%s: %s\n", bad.name.c_str(), bad.why.c_str());
  if (good && argc > 8) good = lt::tool::write_names(argv[8], reader.given(), &why);
  if (!good) std::fprintf(stderr, "%s\n", why.c_str());
  return good ? 0 : 3;
}
