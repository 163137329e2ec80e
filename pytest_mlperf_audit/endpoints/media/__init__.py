"""Wire formats of images, videos and sounds, asked for or sent. Pure but for the files that rows name."""
