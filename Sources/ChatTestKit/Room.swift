enum ChatTestKitRoom {}
