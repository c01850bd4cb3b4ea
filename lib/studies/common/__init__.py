"""What several studies share: frames, kinds of images, measures, what printed scores imply."""
