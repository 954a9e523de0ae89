"""The codec: recordings become few bytes, within an error that always holds.

    encoder       an array becomes a stream
    incremental   a recording becomes a stream part by part
    decoder       a stream becomes the array again
    info          what a stream states of itself
    comparison    how far a stream is from its original
    ndarray       chunks of arrays of any dimensions, for numcodecs and zarr
    options       what a user asks of an encoder
    target        the error or the size that a stream is held to
    trained       which dictionaries come with the package
    dictionaries  where dictionaries come from
    bank          which of many dictionaries suit a signal
    block         samples become payloads, which are decoded and compared
    search        kernels, events and steps that meet the target in few bytes
    modes         integers become a payload, in one of three modes
    file_format   header, attachments, chunks and footer of a stream
    numbers       floats and integers of any dtype become integers
    entropy       decisions become bytes
    errors        the errors that a reader raises

The first line of each file says what is decided in it. The public names are those of `san`.
"""
