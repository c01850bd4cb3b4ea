"""From a folder of radiographs and labels to batches of tensors.

problems, images, boxes   read one file, or say what is wrong with it
cases, yolo, duplicates   list the cases of a study folder
check                     report everything that is wrong with a study folder
splits                    divide cases by subject
crop, preprocess          the steps before the network
augmentation, batches     what happens anew in every epoch
"""
