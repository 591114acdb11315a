// Rows and names: see names_file.h.
#include "tools/images/names_file.h"

#include "tools/replacement.h"
#include "tools/text.h"

namespace lt::tool {

std::string names_path(const std::string& array_path) {
  const bool npy = array_path.size() > 4 && array_path.ends_with(".npy");
  return (npy ? array_path.substr(0, array_path.size() - 4) : array_path) + ".csv";
}

bool write_names(const std::string& path, const std::vector<std::string>& names, std::string* why) {
  std::string lines = "row,name\n";
  for (size_t row = 0; row < names.size(); ++row) lines += std::to_string(row) + "," + csv_field(names[row]) + "\n";
  Replacement file(path);
  file.write(reinterpret_cast<const uint8_t*>(lines.data()), lines.size());
  if (file.good() && file.commit()) return true;
  *why = file.failed().why;
  return false;
}

}  // namespace lt::tool
