import CryptoPrimitives
import RelayProtocol
import Testing

@testable import RelayServer

struct KeySetTests {
  private func fault(_ text: String) -> KeySet.Fault? {
    do throws(KeySet.Fault) {
      _ = try KeySet(Array(text.utf8))
      return nil
    } catch { return error }
  }

  private func count(_ keys: String...) -> Int {
    (try? KeySet(Array("{\"keys\":[\(keys.joined(separator: ","))]}".utf8)))?.count ?? 0
  }

  @Test func takesKeysThatSignAndLeavesOthersOut() throws {
    let set = try KeySet(Array(TestIssuer.set().utf8))
    #expect(set.count == 3)
    for key in TestIssuer.keys {
      #expect(set[.init(id: key.id, algorithm: key.algorithm)]?.algorithm == key.algorithm)
      for other in JWSKey.Algorithm.allCases where other != key.algorithm {
        #expect(set[.init(id: key.id, algorithm: other)] == nil)
      }
    }
    let good = TestIssuer.key(.edDSA).jwk()
    for key in TestIssuer.keys {
      let kept = [
        "", #","alg":"\#(key.algorithm.rawValue)""#, #","use":"sig","key_ops":["verify"]"#,
        #","x5c":["MIIB"],"x":{"a":1}"#,
      ]
      .filter { !($0.contains("\"x\"") && key.algorithm != .rs256) }
      for more in kept { #expect(count(key.jwk(more, id: "other")) == 1, "\(more)") }
      for more in [
        #","use":"enc""#, #","use":1"#, #","key_ops":["sign"]"#, #","key_ops":"verify""#, #","alg":"RSA-OAEP""#,
        #","alg":"HS256""#, #","alg":"none""#, #","alg":null"#,
      ] { #expect(count(good, key.jwk(more, id: "other")) == 1, "\(more)") }
      #expect(count(good, key.jwk(id: "")) == 1)
      #expect(count(good, key.jwk(id: "k\u{e9}")) == 1)
      #expect(count(good, key.jwk().replacing("\"kid\"", with: "\"kit\"")) == 1)
    }
    for other in [
      #"{"kty":"oct","kid":"x","k":"c2VjcmV0"}"#, #"{"kty":"OKP","crv":"X25519","kid":"x","x":"AA"}"#,
      #"{"kty":"OKP","crv":"Ed448","kid":"x","x":"AA"}"#, #"{"kty":"EC","crv":"P-384","kid":"x","x":"AA","y":"AA"}"#,
      #"{"kty":"EC","crv":"P-256","kid":"x","x":"AA","y":"AA"}"#, #"{"kty":"RSA","kid":"x","n":"AQAB","e":"AQAB"}"#,
      #"{"kty":"OKP","crv":"Ed25519","kid":"x","x":"\#(String(repeating: "A", count: 42))="}"#,
      #"{"kty":"new","kid":"x"}"#,
    ] { #expect(count(good, other) == 1 && count(other) == 0, "\(other)") }
  }

  @Test func refusesSetsThatAreNone() {
    let key = TestIssuer.key(.es256)
    for text in [
      "", "{}", "[]", "{\"keys\":{}}", "{\"keys\":[1]}", "{\"keys\":[{}]}", TestIssuer.set() + "x",
      TestIssuer.set([key, key]),
      "{\"keys\":[],\(TestIssuer.set().dropFirst())", "<html></html>",
    ] { #expect(fault(text) == .malformed, "\(text)") }
    #expect(fault("{\"keys\":[]}") == .noUsableKey)
    #expect(fault("{\"keys\":[\(key.jwk(#","d":"AA""#))]}") == .privateKey)
    #expect(fault(String(repeating: " ", count: KeySet.maxBytes + 1)) == .tooLong)
    let many = (0...KeySet.maxKeys).map { key.jwk(id: "k\($0)") }.joined(separator: ",")
    #expect(fault("{\"keys\":[\(many)]}") == .malformed)
  }

  @Test func asksSeldomAndKeepsTheLastGoodSet() throws {
    var cache = KeySetCache(pause: 5000)
    let set = try KeySet(Array(TestIssuer.set().utf8))
    #expect(cache.mayAsk(now: 100) && !cache.mayAsk(now: 5099) && cache.mayAsk(now: 5100) && !cache.mayAsk(now: 5100))
    // A clock set back.
    #expect(cache.mayAsk(now: 7) && !cache.mayAsk(now: 8))
    #expect(cache.take(.failure(.notReached)) == .lost(.notReached) && cache.take(.failure(.status)) == .none)
    #expect(cache.set == nil && cache.take(.success(set)) == .reached && cache.take(.success(set)) == .none)
    #expect(cache.take(.failure(.malformed)) == .lost(.malformed) && cache.set?.count == 3 && cache.isFailing)
    #expect(cache.take(.success(set)) == .reached && !cache.isFailing)
  }

  @Test func readsStrictJSON() {
    func read(_ text: String) -> StrictJSON? { StrictJSON(Array(text.utf8)) }
    #expect(
      read(" { \"a\" : [ 1 , true , null , \"x\" ] } ")?["a"]?.list == [.whole(1), .boolean(true), .null, .text("x")])
    #expect(read(#""\u0041\ud83e\udd8a\n\/""#) == .text("A\u{1f98a}\n/"))
    #expect(read("-0") == .number && read("1e9") == .number && read("0.5E-3") == .number && read("0") == .whole(0))
    #expect(read("18446744073709551615") == .whole(.max) && read("18446744073709551616") == .number)
    for text in [
      "", " ", "nul", "nulll", "tru", "{\"a\":1,\"a\":2}", "{\"a\":1,\"\\u0061\":2}", "{\"a\"}", "{\"a\":}", "{,}",
      "[1,]", "[,1]", "01",
      "+1", "1.", ".1", "1e", "-", "1 2", "\"\\x\"", "\"\\ud800\"", "\"\\ud800\\u0041\"", "\"\\udc00\"", "\"\\u00g0\"",
      "\"\n\"", "\"", "{", "[",
      "'a'", "NaN", "Infinity", "{a:1}", "/**/1", "\u{feff}1", "[1]]",
    ] { #expect(read(text) == nil, "\(text)") }
    #expect(StrictJSON([0x22, 0xff, 0x22]) == nil && StrictJSON([0x22, 0xed, 0xa0, 0x80, 0x22]) == nil)
    let depth = StrictJSON.maxDepth
    #expect(read(String(repeating: "[", count: depth) + String(repeating: "]", count: depth)) != nil)
    #expect(read(String(repeating: "[", count: depth + 1) + String(repeating: "]", count: depth + 1)) == nil)
    #expect(read(String(repeating: "[", count: 200_000)) == nil)
  }
}
