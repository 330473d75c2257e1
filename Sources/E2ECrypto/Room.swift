enum E2ECryptoRoom {}
