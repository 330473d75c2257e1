import CryptoPrimitives
import Synchronization
import Testing

@Suite struct ParallelTests {
  @Test(arguments: [0, 1, 7, 8, 15, 16, 17, 100, 1000], [-1, 0, 1, 2, 3, 200])
  func callsOnceWithEachNumber(count: Int, workers: Int) {
    for chunk in [-5, 0, 1, 8, 5000] {
      let calls = Mutex([Int](repeating: 0, count: count))
      Parallel.forEach(count, workers: workers, minimumChunk: chunk) { index in calls.withLock { $0[index] += 1 } }
      #expect(calls.withLock { $0 } == [Int](repeating: 1, count: count))
    }
    Parallel.forEach(-count, workers: workers) { _ in Issue.record("called for less than nothing") }
  }

  /// Two calls that wait for each other end only if two threads are at work.
  @Test func worksOnSeveralThreads() {
    let arrived = Atomic<Int>(0)
    Parallel.forEach(2, workers: 2, minimumChunk: 1) { _ in
      arrived.wrappingAdd(1, ordering: .acquiringAndReleasing)
      while arrived.load(ordering: .acquiring) < 2 {}
    }
    #expect(arrived.load(ordering: .relaxed) == 2)
    #expect(Parallel.availableCores >= 1)
  }

  @Test func fewCallsStayOnTheCallersThread() {
    // Deadlocks if a second thread takes part and the lock is held, traps if the lock is taken twice: neither happens.
    let order = Mutex<[Int]>([])
    Parallel.forEach(15, workers: 4) { index in order.withLock { $0.append(index) } }
    #expect(order.withLock { $0 } == Array(0..<15))
  }

  @Test(arguments: [1, 2, 4])
  func reportsTheFailureWithTheLowestNumber(workers: Int) {
    struct Refused: Error, Equatable { let index: Int }
    for _ in 0..<50 {
      let calls = Atomic<Int>(0)
      let error = #expect(throws: Refused.self) {
        try Parallel.forEach(1000, workers: workers, minimumChunk: 1) { (index) throws(Refused) in
          calls.wrappingAdd(1, ordering: .relaxed)
          if index >= 500, index % 7 == 0 { throw Refused(index: index) }
        }
      }
      #expect(error == Refused(index: 504))
      #expect(calls.load(ordering: .relaxed) >= 505)
    }
    let calls = Atomic<Int>(0)
    #expect(throws: Never.self) {
      try Parallel.forEach(100, workers: workers) { (_) throws(Refused) in calls.wrappingAdd(1, ordering: .relaxed) }
    }
    #expect(calls.load(ordering: .relaxed) == 100)
  }

  @Test(arguments: [-1, 0, 1, 9, 100])
  func makesAValueOfEachNumberInOrder(count: Int) {
    let made = Parallel.map(count, workers: 3, minimumChunk: 1) { "\($0)" }
    #expect(made == (0..<max(0, count)).map(String.init))
  }

  /// The libraries' handles in one key are shared by all threads that use it.
  @Test func keysServeSeveralThreadsAtOnce() throws {
    let message = Random.bytes(40)
    let signing = SignatureScheme.allCases.map { SigningKey.generate($0) }
    let opening = KEM.allCases.map { HPKEPrivateKey.generate($0) }
    try Parallel.forEach(16, workers: 4, minimumChunk: 1) { (_) throws(CryptoError) in
      for key in signing {
        #expect(key.verifyingKey.isValidSignature(try key.sign(message), for: message))
      }
      for key in opening {
        let hpke = HPKE(kem: key.kem, hash: .sha256, aead: .aes128GCM)
        let (kemOutput, ciphertext) = try hpke.seal(to: key.publicKey, mode: .auth(key), plaintext: message)
        let opened = try hpke.open(ciphertext, kemOutput: kemOutput, with: key, mode: .auth(key.publicKey))
        #expect(opened == message)
      }
    }
  }
}
