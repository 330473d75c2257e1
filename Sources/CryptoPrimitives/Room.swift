enum CryptoPrimitivesRoom {}
