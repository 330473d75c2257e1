enum ChatSDKRoom {}
