// Read a reference pack with the standard library of C++17 alone; copy this file anywhere. To list its arrays:
//     c++ -std=c++17 read_pack.cpp -o read_pack && ./read_pack packs/NAME
// For a program of your own define READ_PACK_ONLY and include it. Rows stand one after the other: X(i, j) is
// X.data[i * d + j]. X is (N, d), row i belongs to task[i] = 0 .. T-1; W is (d, T), column t predicts task t;
// B is (T, T), B(s, t) is how much task s helps task t. `amtl-cvx reference verify` checks the SHA-256.
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <sstream>
#include <string>
#include <vector>
namespace fs = std::filesystem;
struct Array { std::vector<long> shape; std::vector<double> data; };  // of int64 too, exact up to 2^53
inline std::string text_of(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) throw std::runtime_error("cannot read " + path.string());
    return {std::istreambuf_iterator<char>(file), {}};
}
inline Array read_npy(const fs::path& path) {  // on a little-endian machine, as nearly all are
    const std::string text = text_of(path);
    const std::size_t start = 10 + std::uint8_t(text.at(8)) + 256 * std::uint8_t(text.at(9));
    const std::string head = text.substr(0, start);
    const bool whole = head.find("'<i8'") != head.npos, real = head.find("'<f8'") != head.npos;
    if (whole == real || head.find("'fortran_order': False") == head.npos)
        throw std::runtime_error(path.string() + " is no array of a pack");
    Array found{{}, std::vector<double>((text.size() - start) / 8)};
    std::istringstream shape(head.substr(head.find("'shape': (") + 10));
    for (long length; shape >> length; shape.ignore()) found.shape.push_back(length);
    std::memcpy(found.data.data(), text.data() + start, 8 * found.data.size());
    std::int64_t number;
    for (std::size_t i = 0; whole && i < found.data.size(); found.data[i++] = double(number))
        std::memcpy(&number, text.data() + start + 8 * i, 8);
    return found;
}
inline std::map<std::string, Array> read_pack(const fs::path& folder) {  // "problem/X", "solution/W", ...
    std::map<std::string, Array> arrays;
    for (const fs::path& path : fs::recursive_directory_iterator(folder))
        if (path.extension() == ".npy")
            arrays[path.lexically_relative(folder).replace_extension().generic_string()] = read_npy(path);
    return arrays;
}
// What the text of problem/problem.json says: "0.25" of "coupling", for std::stod; "squared" of "loss".
inline std::string said(const std::string& json, const std::string& key) {
    const std::size_t found = json.find("\n  \"" + key + "\": ");  // what is not nested: two spaces deep
    if (found == json.npos) throw std::runtime_error("problem.json does not say " + key);
    const std::size_t at = found + key.size() + 7, quoted = json.at(at) == '"';
    return json.substr(at + quoted, json.find_first_of(quoted ? "\"" : ",\n", at + quoted) - at - quoted);
}
#ifndef READ_PACK_ONLY
int main(int, char** words) {
    for (const auto& [place, array] : read_pack(words[1]))
        std::cout << place << ": " << array.data.size() << " numbers in " << array.shape.size() << "-d\n";
}
#endif
