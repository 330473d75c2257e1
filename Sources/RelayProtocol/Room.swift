enum RelayProtocolRoom {}
